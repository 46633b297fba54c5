extension GGUFCursor {
    /// The next metadata value of the type with number `type`; `key` is what errors call it.
    mutating func value(type: UInt32, key: String) throws(GGUFProblem) -> GGUFValue {
        switch type {
        case 0: .uint8(try integer(key))
        case 1: .int8(try integer(key))
        case 2: .uint16(try integer(key))
        case 3: .int16(try integer(key))
        case 4: .uint32(try integer(key))
        case 5: .int32(try integer(key))
        case 6: .float32(Float(bitPattern: try integer(key)))
        case 7: .bool(try bool(key))
        case 8: .string(try string(key))
        case 9: .array(try array(key: key, depth: 0))
        case 10: .uint64(try integer(key))
        case 11: .int64(try integer(key))
        case 12: .float64(Double(bitPattern: try integer(key)))
        default: throw .unknownValueType(part: key, type: type)
        }
    }

    private mutating func bool(_ part: String) throws(GGUFProblem) -> Bool {
        let value: UInt8 = try integer(part)
        guard value <= 1 else { throw .badBool(part: part, value: value) }
        return value == 1
    }

    private mutating func array(key: String, depth: Int) throws(GGUFProblem) -> GGUFArray {
        guard depth < 8 else { throw .tooDeep(part: key) }
        let type: UInt32 = try integer(key)
        // Even the smallest elements take a byte, strings their length and arrays their type and length.
        let count = try count(bytesEach: type == 8 ? 8 : type == 9 ? 12 : 1, key)
        switch type {
        case 0: return .uint8(try numbers(count, key))
        case 1: return .int8(try numbers(count, key))
        case 2: return .uint16(try numbers(count, key))
        case 3: return .int16(try numbers(count, key))
        case 4: return .uint32(try numbers(count, key))
        case 5: return .int32(try numbers(count, key))
        case 6: return .float32(try numbers(count, key))
        case 7: return .bool(try bools(count, key))
        case 8: return .string(try strings(count, key))
        case 9:
            var elements: [GGUFArray] = []
            for _ in 0..<count { elements.append(try array(key: key, depth: depth + 1)) }
            return .array(elements)
        case 10: return .uint64(try numbers(count, key))
        case 11: return .int64(try numbers(count, key))
        case 12: return .float64(try numbers(count, key))
        default: throw .unknownValueType(part: key, type: type)
        }
    }

    private mutating func bools(_ count: Int, _ key: String) throws(GGUFProblem) -> [Bool] {
        let raw: [UInt8] = try numbers(count, key)
        if let bad = raw.first(where: { $0 > 1 }) { throw .badBool(part: key, value: bad) }
        return raw.map { $0 == 1 }
    }

    private mutating func strings(_ count: Int, _ key: String) throws(GGUFProblem) -> [String] {
        var strings: [String] = []
        strings.reserveCapacity(count)
        for index in 0..<count { strings.append(try string("\(key)[\(index)]")) }
        return strings
    }
}
