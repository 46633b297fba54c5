internal import CKernels

/// How the numbers of a weight lie in a file. Raw values are the names that GGUF and safetensors use.
public enum StoredFormat: String, Sendable, Hashable, CaseIterable, Codable {
    /// IEEE float32.
    case float32 = "F32"
    /// IEEE binary16.
    case float16 = "F16"
    /// The upper half of a float32.
    case bfloat16 = "BF16"
    /// 4 bits around 8, one scale per 32 elements.
    case q4_0 = "Q4_0"
    /// 4 bits, one scale and minimum per 32 elements.
    case q4_1 = "Q4_1"
    /// 5 bits around 16, one scale per 32 elements.
    case q5_0 = "Q5_0"
    /// 5 bits, one scale and minimum per 32 elements.
    case q5_1 = "Q5_1"
    /// 8 signed bits, one scale per 32 elements.
    case q8_0 = "Q8_0"
    /// 4 bits, 6-bit scales and minima per 32 elements in blocks of 256.
    case q4_K = "Q4_K"
    /// 5 bits, 6-bit scales and minima per 32 elements in blocks of 256.
    case q5_K = "Q5_K"
    /// 6 bits, 8-bit scales per 16 elements in blocks of 256.
    case q6_K = "Q6_K"
    /// 4-bit floats, one power of two per 32 elements.
    case mxfp4 = "MXFP4"

    /// Elements per block; 1 for the formats that are not quantised.
    public var blockElements: Int {
        switch self {
        case .float32, .float16, .bfloat16: 1
        case .q4_0, .q4_1, .q5_0, .q5_1, .q8_0, .mxfp4: 32
        case .q4_K, .q5_K, .q6_K: 256
        }
    }

    /// Bytes per block.
    public var blockBytes: Int {
        switch self {
        case .float32: 4
        case .float16, .bfloat16: 2
        case .q4_0: 18
        case .q4_1: 20
        case .q5_0: 22
        case .q5_1: 24
        case .q8_0: 34
        case .q4_K: 144
        case .q5_K: 176
        case .q6_K: 210
        case .mxfp4: 17
        }
    }

    /// Whether several elements share a block.
    public var isQuantized: Bool { blockElements > 1 }

    /// Bytes for `elements` elements in whole blocks; nil when they do not fill blocks or the number overflows.
    public func byteCount(elements: Int) -> Int? {
        guard elements >= 0, elements % blockElements == 0 else { return nil }
        let (bytes, overflow) = (elements / blockElements).multipliedReportingOverflow(by: blockBytes)
        return overflow ? nil : bytes
    }

    /// Expands `blocks` consecutive blocks to float32, exactly, with the fastest code this CPU runs.
    ///
    /// `source` needs no alignment; `target` receives `blocks × blockElements` floats.
    public func expand(_ source: UnsafeRawPointer, blocks: Int, into target: UnsafeMutablePointer<Float>) {
        let bytes = source.assumingMemoryBound(to: UInt8.self)
        let count = Int64(blocks)
        switch self {
        case .float32: UnsafeMutableRawPointer(target).copyMemory(from: source, byteCount: blocks * 4)
        case .float16: martlet_expand_f16(bytes, count, target)
        case .bfloat16: martlet_expand_bf16(bytes, count, target)
        case .q4_0: martlet_expand_q4_0(bytes, count, target)
        case .q4_1: martlet_expand_q4_1(bytes, count, target)
        case .q5_0: martlet_expand_q5_0(bytes, count, target)
        case .q5_1: martlet_expand_q5_1(bytes, count, target)
        case .q8_0: martlet_expand_q8_0(bytes, count, target)
        case .q4_K: martlet_expand_q4_K(bytes, count, target)
        case .q5_K: martlet_expand_q5_K(bytes, count, target)
        case .q6_K: martlet_expand_q6_K(bytes, count, target)
        case .mxfp4: martlet_expand_mxfp4(bytes, count, target)
        }
    }
}
