public import TensorCore

/// The element types of safetensors, by the names the format uses, in the order in which its own library ranks them.
public enum SafetensorsType: String, Sendable, Hashable, CaseIterable {
    /// One byte, 0 or 1.
    case bool = "BOOL"
    /// Unsigned, 8 bits.
    case uint8 = "U8"
    /// Signed, 8 bits.
    case int8 = "I8"
    /// 8-bit floating point, 5 exponent bits.
    case float8e5m2 = "F8_E5M2"
    /// 8-bit floating point, 4 exponent bits.
    case float8e4m3 = "F8_E4M3"
    /// 8-bit power of two, used for scales.
    case float8e8m0 = "F8_E8M0"
    /// Signed, 16 bits.
    case int16 = "I16"
    /// Unsigned, 16 bits.
    case uint16 = "U16"
    /// IEEE binary16.
    case float16 = "F16"
    /// The upper half of a float32.
    case bfloat16 = "BF16"
    /// Signed, 32 bits.
    case int32 = "I32"
    /// Unsigned, 32 bits.
    case uint32 = "U32"
    /// IEEE binary32.
    case float32 = "F32"
    /// IEEE binary64.
    case float64 = "F64"
    /// Signed, 64 bits.
    case int64 = "I64"
    /// Unsigned, 64 bits.
    case uint64 = "U64"

    /// Bytes per element.
    public var byteCount: Int {
        switch self {
        case .bool, .uint8, .int8, .float8e5m2, .float8e4m3, .float8e8m0: 1
        case .int16, .uint16, .float16, .bfloat16: 2
        case .int32, .uint32, .float32: 4
        case .float64, .int64, .uint64: 8
        }
    }

    /// The format to compute with; nil for types that are only handed out as bytes.
    public var storedFormat: StoredFormat? {
        switch self {
        case .float32: .float32
        case .float16: .float16
        case .bfloat16: .bfloat16
        default: nil
        }
    }
}
