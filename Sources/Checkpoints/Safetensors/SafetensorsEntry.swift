public import TensorCore

/// One tensor of a safetensors file as the header describes it, with its bytes. Any element type.
public struct SafetensorsEntry: Sendable {
    /// The tensor's name.
    public let name: String
    /// Its element type.
    public let type: SafetensorsType
    /// Dimensions, outermost first; empty for a scalar.
    public let shape: [Int]
    /// Its data, little-endian, row-major, not necessarily aligned.
    public let bytes: MappedBytes

    /// The number of elements.
    public var elementCount: Int { bytes.count / type.byteCount }

    /// The elements of an integer or Boolean tensor as `Int`; nil for other types or an element above `Int.max`.
    public func integers() -> [Int]? {
        func load<Value: FixedWidthInteger>(_: Value.Type) -> [Int]? {
            let values = bytes.withUnsafeBytes { raw in
                (0..<elementCount).map { index in
                    Value(littleEndian: raw.loadUnaligned(fromByteOffset: index * type.byteCount, as: Value.self))
                }
            }
            let converted = values.compactMap { Int(exactly: $0) }
            return converted.count == values.count ? converted : nil
        }
        switch type {
        case .bool, .uint8: return load(UInt8.self)
        case .int8: return load(Int8.self)
        case .int16: return load(Int16.self)
        case .uint16: return load(UInt16.self)
        case .int32: return load(Int32.self)
        case .uint32: return load(UInt32.self)
        case .int64: return load(Int64.self)
        case .uint64: return load(UInt64.self)
        default: return nil
        }
    }
}
