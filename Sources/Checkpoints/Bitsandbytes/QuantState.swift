import Foundation
public import TensorCore

/// The JSON that bitsandbytes writes beside the codes of a 4-bit tensor, as bytes of a U8 tensor.
struct QuantState: Codable {
    /// `nf4` or `fp4`.
    var quantType: String
    /// Elements that share a scale.
    var blockSize: Int
    /// What the tensor was before, and what bitsandbytes expands it to: `bfloat16`, `float16` or `float32`.
    var type: String
    var shape: [Int]
    /// Scales that share a nested scale, the nested scales' type, and what is added to all scales.
    var nestedBlockSize: Int?
    var nestedType: String?
    var nestedOffset: Double?

    enum CodingKeys: String, CodingKey {
        case quantType = "quant_type"
        case blockSize = "blocksize"
        case type = "dtype"
        case shape
        case nestedBlockSize = "nested_blocksize"
        case nestedType = "nested_dtype"
        case nestedOffset = "nested_offset"
    }

    /// Bytes that every state is padded to with spaces: tensors are declared before their offset is known.
    static let paddedSize = 256
    private static let sizeLimit = 1 << 16

    /// Reads the JSON.
    static func read(_ entry: SafetensorsEntry) throws(BitsandbytesProblem) -> QuantState {
        guard entry.type == .uint8, entry.bytes.count <= sizeLimit else { throw .state("its quant_state is no JSON text") }
        do {
            return try entry.bytes.withUnsafeBytes { try JSONDecoder().decode(QuantState.self, from: Data($0)) }
        } catch let DecodingError.keyNotFound(key, _) {
            throw .state("its quant_state has no \(key.stringValue)")
        } catch {
            throw .state("its quant_state is not the JSON that bitsandbytes writes")
        }
    }

    /// The JSON, padded.
    func bytes() -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let text = (try? encoder.encode(self)).map(Array.init) ?? []
        return text + [UInt8](repeating: UInt8(ascii: " "), count: max(0, Self.paddedSize - text.count))
    }
}

/// Why a tensor is no 4-bit tensor of bitsandbytes. Clauses that follow the tensor's name.
public enum BitsandbytesProblem: Error, Sendable, Hashable, CustomStringConvertible {
    /// A tensor that belongs to it is not in the checkpoint.
    case missing(part: String)
    /// A tensor that belongs to it has another element type.
    case type(part: String, found: String, expected: String)
    /// The JSON about it cannot be used; a clause says why.
    case state(String)
    /// Its parts do not fit together.
    case matrix(FourBitProblem)
    /// It cannot be packed.
    case unpackable(FourBitProblem)
    /// Another quantisation of bitsandbytes.
    case eightBit

    /// The clause.
    public var description: String {
        switch self {
        case .missing(let part): "is packed in 4 bits, but \(part) is missing; is the checkpoint complete?"
        case .type(let part, let found, let expected): "is packed in 4 bits, but \(part) has type \(found), expected \(expected)"
        case .state(let reason): "is packed in 4 bits, but \(reason)"
        case .matrix(let problem): "is packed in 4 bits and damaged: \(problem)"
        case .unpackable(.notFinite): "cannot be packed in 4 bits: it holds an infinity or a NaN; is the model damaged?"
        case .unpackable(let problem): "cannot be packed in 4 bits: \(problem)"
        case .eightBit: "is packed in 8 bits (LLM.int8), which cannot be computed with; supported are nf4 and fp4"
        }
    }
}
