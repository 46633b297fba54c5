/// A metadata value of a GGUF file, with the type it has there.
public enum GGUFValue: Sendable, Hashable {
    case uint8(UInt8)
    case int8(Int8)
    case uint16(UInt16)
    case int16(Int16)
    case uint32(UInt32)
    case int32(Int32)
    case uint64(UInt64)
    case int64(Int64)
    case float32(Float)
    case float64(Double)
    case bool(Bool)
    case string(String)
    case array(GGUFArray)

    /// The value as `Int`, if it is an integer that fits.
    public var integer: Int? {
        switch self {
        case .uint8(let value): Int(value)
        case .int8(let value): Int(value)
        case .uint16(let value): Int(value)
        case .int16(let value): Int(value)
        case .uint32(let value): Int(value)
        case .int32(let value): Int(value)
        case .uint64(let value): Int(exactly: value)
        case .int64(let value): Int(value)
        case .float32, .float64, .bool, .string, .array: nil
        }
    }

    /// The value as `Double`, if it is a floating-point number or an integer.
    public var number: Double? {
        switch self {
        case .float32(let value): Double(value)
        case .float64(let value): value
        case .uint64(let value): Double(value)
        default: integer.map(Double.init)
        }
    }

    /// The text, if it is a string.
    public var string: String? { if case .string(let value) = self { value } else { nil } }

    /// The truth value, if it is one.
    public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }

    /// The array, if it is one.
    public var array: GGUFArray? { if case .array(let value) = self { value } else { nil } }

    /// The type in words, "an array of float32" for example.
    public var typeName: String {
        if case .array(let array) = self { "an array of \(array.elementTypeName)" } else { caseName(of: self) }
    }
}

/// An array in the metadata of a GGUF file; all elements have one type.
public indirect enum GGUFArray: Sendable, Hashable {
    case uint8([UInt8])
    case int8([Int8])
    case uint16([UInt16])
    case int16([Int16])
    case uint32([UInt32])
    case int32([Int32])
    case uint64([UInt64])
    case int64([Int64])
    case float32([Float])
    case float64([Double])
    case bool([Bool])
    case string([String])
    case array([GGUFArray])

    /// The number of elements.
    public var count: Int {
        switch self {
        case .uint8(let values): values.count
        case .int8(let values): values.count
        case .uint16(let values): values.count
        case .int16(let values): values.count
        case .uint32(let values): values.count
        case .int32(let values): values.count
        case .uint64(let values): values.count
        case .int64(let values): values.count
        case .float32(let values): values.count
        case .float64(let values): values.count
        case .bool(let values): values.count
        case .string(let values): values.count
        case .array(let values): values.count
        }
    }

    /// The elements as `Int`, if they are integers that fit.
    public var integers: [Int]? {
        switch self {
        case .uint8(let values): return values.map(Int.init)
        case .int8(let values): return values.map(Int.init)
        case .uint16(let values): return values.map(Int.init)
        case .int16(let values): return values.map(Int.init)
        case .uint32(let values): return values.map(Int.init)
        case .int32(let values): return values.map(Int.init)
        case .int64(let values): return values.map(Int.init)
        case .uint64(let values):
            let exact = values.compactMap { Int(exactly: $0) }
            return exact.count == values.count ? exact : nil
        case .float32, .float64, .bool, .string, .array: return nil
        }
    }

    /// The elements as `Float` (float64 rounded), if they are floating-point numbers.
    public var floats: [Float]? {
        switch self {
        case .float32(let values): values
        case .float64(let values): values.map(Float.init)
        default: nil
        }
    }

    /// The elements' type in words.
    public var elementTypeName: String { if case .array = self { "arrays" } else { caseName(of: self) } }
}

/// The name of an enumeration's case that carries a value: those of GGUF's types are the types' names.
private func caseName(of value: Any) -> String { Mirror(reflecting: value).children.first?.label ?? "" }
