import Foundation
import Layers
import Models
import TensorCore
import Tokenization

/// Measures generation, one token after another: the weights are read once for each.
struct DecodeBench {
    /// Rates of every measured round, tokens a second.
    let rates: [Double]
    /// Bytes of weights that a token needs: all linear layers and the head.
    let weightBytes: Int
    /// Bytes a second that all threads together read from memory, the best of what was measured before and after.
    let bandwidth: Double

    /// Generates `tokens` tokens after a short prompt, `rounds` times.
    init(_ network: any CausalLanguageModel, tokens: Int, rounds: Int, on compute: Compute) {
        weightBytes = network.linears.reduce(network.head.byteCount) { $0 + $1.weight.byteCount }
        let before = ReadRate.measure(on: compute)
        var rates: [Double] = []
        for round in 0...rounds {
            var times: [ContinuousClock.Instant] = []
            _ = Generation(
                from: network, prompt: [1, 2, 3, 4], maxTokens: tokens, stopTokens: [], sampler: TokenSampler(temperature: 0),
                on: compute) { _ in
                    times.append(.now)
                    return true
                }
            // The first round warms up; the first token of a round is the prompt's.
            if round > 0, let first = times.first, let last = times.last, times.count > 1 {
                rates.append(Double(times.count - 1) / ((last - first) / .seconds(1)))
            }
        }
        self.rates = rates.sorted()
        bandwidth = max(before, ReadRate.measure(on: compute))
    }

    /// The median round.
    var tokensPerSecond: Double { rates.isEmpty ? 0 : (rates[(rates.count - 1) / 2] + rates[rates.count / 2]) / 2 }
    /// Bytes of weights that were read, over what memory gives.
    var share: Double { tokensPerSecond * Double(weightBytes) / bandwidth }

    func json(settings: JSONObject) -> JSONObject {
        [
            "tokens_per_second": .finite(tokensPerSecond), "weight_bytes_per_token": .integer(weightBytes),
            "read_bandwidth_gb_s": .finite(bandwidth / 1e9), "share_of_bandwidth": .finite(share),
            "peak_memory_bytes": ProcessMemory.peak.map { .integer($0) } ?? .null,
            "all_tokens_per_second": .array(rates.map { .finite($0) }), "settings": .object(settings),
        ]
    }
}

/// How fast memory is read: the yardstick of decoding.
enum ReadRate {
    /// Bytes a second that all threads together read from a stretch larger than any cache, the best of five. It lies in
    /// ordinary pages as weights in a mapped file do, not in the large ones of the buffers, which are read faster.
    static func measure(on compute: Compute) -> Double {
        let words = UnsafeMutableBufferPointer<UInt32>.allocate(capacity: 1 << 25)
        words.initialize(repeating: 1)
        defer { words.deallocate() }
        let seconds = (0..<5).map { _ in
            let start = ContinuousClock.now
            _ = compute.sumOfWords(UnsafeBufferPointer(words))
            return (ContinuousClock.now - start) / .seconds(1)
        }
        return 4 * Double(words.count) / (seconds.min() ?? .infinity)
    }
}
