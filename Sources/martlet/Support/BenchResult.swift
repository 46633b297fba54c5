import Autograd
import Foundation
import Layers
import Models
import TensorCore
import Tokenization

/// Floating-point operations that a training step cannot do without.
enum UsefulOperations {
    /// Per token: base products forward and input gradient (2 + 2 per weight), adapters forward and backward (2 + 4 per
    /// weight), head forward and input gradient (2 + 2). Products with embeddings need no input gradient, since
    /// those are frozen; what adapters on fewer layers spare besides is not taken off.
    static func perToken(of model: any CausalLanguageModel, adapter: LoRAAdapter) -> Double {
        let linears = model.linears.filter { $0.role != .experts }
        let experts = model.mixtures.reduce(0) { sum, mixture in
            mixture.banks.reduce(sum) { $0 + 4 * mixture.routing.chosen * $1.weight.outputs * $1.weight.inputs }
        }
        let base = linears.reduce(experts) { $0 + 4 * $1.weight.rows * $1.weight.columns }
        let spared = model.inputProjections.reduce(0) { $0 + 2 * $1.weight.rows * $1.weight.columns }
        // Of the adapters of experts, a token meets those of the experts that it chooses.
        let reach = model.mixtures.first.map { Double($0.routing.chosen) / Double($0.routing.experts) } ?? 1
        let (everywhere, ofExperts) = (
            adapter.parameterCount { $0.role != .experts }, adapter.parameterCount { $0.role == .experts }
        )
        let adapters = 6 * (Double(everywhere) + Double(ofExperts) * reach)
        return adapters + Double(base - spared + 4 * model.head.rows * model.head.columns)
    }
}

/// What a benchmark has measured.
struct BenchResult {
    let stepSeconds: [Double]
    let tokensPerStep: Int
    /// What the share of peak is measured against, and its GFLOP/s.
    let yardstick: String
    let matrixRate: Double
    let usefulOperations: Double
    let operations: [String: Double]
    let precision: Precision
    /// Of the process, until the last step; and weights in files, of which it holds a block and a part of the head at a time.
    let peakMemory: Int?, mappedWeights: Int
    /// `nil` for a model without experts.
    let experts: ExpertReading?

    var median: Double {
        let sorted = stepSeconds.sorted()
        return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
    }
    var tokensPerSecond: Double { Double(tokensPerStep) / median }
    /// GFLOP/s of useful products over the whole step.
    var usefulRate: Double { usefulOperations / median / 1e9 }
    var share: Double { usefulRate / matrixRate }
    var measuredSeconds: Double { stepSeconds.reduce(0, +) }
    var sortedOperations: [(String, Double)] { operations.sorted { $0.value > $1.value }.map { ($0.key, $0.value) } }

    func json(settings: JSONObject) -> JSONObject {
        [
            "tokens_per_second": .finite(tokensPerSecond), "step_seconds": .finite(median),
            "peak_memory_bytes": peakMemory.map { .integer($0) } ?? .null, "mapped_weight_bytes": .integer(mappedWeights),
            "matmul_share_of_peak": .finite(share),
            "matmul_gflops": .finite(matrixRate), "matmul_yardstick": .string(yardstick),
            "useful_gflops": .finite(usefulRate),
            "all_step_seconds": .array(stepSeconds.map { .finite($0) }),
            "operations": .array(sortedOperations.map { name, seconds in
                .object([
                    "name": .string(name), "seconds": .finite(seconds / Double(stepSeconds.count)),
                    "share": .finite(seconds / measuredSeconds),
                ])
            }),
            "experts": experts.map { .object($0.json) } ?? .null, "settings": .object(settings),
        ]
    }
}
