import Datasets
import Foundation
import Tokenization

/// The token stream of the benchmark: ids of a file over and over, or pseudo-random ones.
struct BenchTokens {
    private let ids: [Int32]
    private var next = 0
    private var state: UInt32
    private let vocabulary: Int

    /// - Parameters:
    ///   - file: 32-bit little-endian integers; `nil` is the generator.
    ///   - seed: where the generator begins.
    init(file: String?, seed: UInt32, vocabulary: Int) throws {
        (state, self.vocabulary) = (seed, vocabulary)
        ids = try file.map { try Self.read($0, vocabulary: vocabulary) } ?? []
    }

    private static func read(_ path: String, vocabulary: Int) throws -> [Int32] {
        guard let data = try? Data(contentsOf: URL(fileURLWithPath: path)) else {
            throw CommandError(.missingInput, "\(path) cannot be read; --tokens-file expects a file of token ids")
        }
        guard !data.isEmpty, data.count % 4 == 0 else {
            throw CommandError(
                .unsuitableData,
                "\(path) has \(data.count) bytes, expected 32-bit token ids, so a multiple of 4 above 0")
        }
        let ids = data.withUnsafeBytes { bytes in
            (0..<data.count / 4).map {
                Int32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Int32.self))
            }
        }
        if let at = ids.firstIndex(where: { !(0..<vocabulary).contains(Int($0)) }) {
            throw CommandError(
                .unsuitableData,
                "token \(at) of \(path) is \(ids[at]), but the model's vocabulary has \(vocabulary) entries")
        }
        return ids
    }

    mutating func batch(sequences: Int, length: Int) -> TokenBatch {
        TokenBatch((0..<sequences).map { _ in EncodedExample(ids: (0..<length).map { _ in token() }) })
    }

    private mutating func token() -> Int32 {
        if !ids.isEmpty {
            defer { next = (next + 1) % ids.count }
            return ids[next]
        }
        state = 1_664_525 &* state &+ 1_013_904_223
        return Int32(Int(state >> 8) % vocabulary)
    }
}
