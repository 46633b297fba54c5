/// Rounds float32 numbers to the types of a file, to nearest with ties to even.
enum FloatConversion {
    /// Rounds to bfloat16; NaNs stay NaNs (made quiet). Free of branches, so that it compiles to vector code.
    static func bfloat16(_ source: UnsafeBufferPointer<Float>, into target: UnsafeMutablePointer<UInt16>) {
        for index in 0..<source.count {
            let bits = source[index].bitPattern
            let rounded = bits &+ 0x7FFF &+ (bits &>> 16 & 1)
            let isNaN = bits & 0x7FFF_FFFF > 0x7F80_0000
            target[index] = UInt16(truncatingIfNeeded: (isNaN ? bits | 0x40_0000 : rounded) &>> 16).littleEndian
        }
    }

    /// Rounds to IEEE binary16; numbers beyond its range become infinite.
    static func float16(_ source: UnsafeBufferPointer<Float>, into target: UnsafeMutablePointer<UInt16>) {
        for index in 0..<source.count { target[index] = Float16(source[index]).bitPattern.littleEndian }
    }
}
