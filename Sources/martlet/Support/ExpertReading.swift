import Foundation
import Layers
import Models
import TensorCore
import Tokenization

/// How long it takes to read the weights of all routed experts from memory, and to expand them as products do.
struct ExpertReading {
    /// Numbers, and bytes as they are stored.
    let weights, bytes: Int
    /// The best of three, on all threads.
    let readSeconds, expandSeconds: Double

    /// Nil for a model without experts.
    init?(_ model: any CausalLanguageModel, on compute: Compute) {
        let banks = model.mixtures.flatMap { $0.banks.map(\.weight) }
        if banks.isEmpty { return nil }
        func best(_ body: (GroupedWeight) -> Void) -> Double {
            (0..<3).map { _ in
                let start = ContinuousClock.now
                for bank in banks { body(bank) }
                return (ContinuousClock.now - start) / .seconds(1)
            }.min() ?? 0
        }
        weights = banks.reduce(0) { $0 + $1.count * $1.outputs * $1.inputs }
        bytes = banks.reduce(0) { $0 + $1.byteCount }
        readSeconds = best { compute.read($0) }
        expandSeconds = best { compute.expandAll($0) }
    }

    var json: JSONObject {
        [
            "weights": .integer(weights), "bytes": .integer(bytes), "read_seconds": .finite(readSeconds),
            "expand_seconds": .finite(expandSeconds),
        ]
    }
}
