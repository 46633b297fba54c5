import CKernels

/// Random numbers that are counted, not drawn in turn: number `i` of a stream is the same whenever it is asked for.
/// Philox4x32-10 (Salmon et al., 2011).
public struct RandomStream: Sendable {
    /// What random numbers are for; each purpose has streams of its own.
    public enum Purpose: UInt64, Sendable {
        /// First values of parameters.
        case initialization = 1
        /// Choice of the next token.
        case sampling = 2
    }

    private let key, stream: UInt64

    /// A stream named by a seed, a purpose and a number.
    public init(seed: UInt64, purpose: Purpose, stream: UInt64) {
        key = seed
        self.stream = purpose.rawValue << 56 ^ stream
    }

    /// Numbers `first ..< first + count` of the stream, uniform in `[0, 1)`, multiples of 2⁻²⁴.
    public func uniform(count: Int, from first: Int = 0) -> [Float] {
        [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
            if let start = buffer.baseAddress {
                martlet_philox_uniform(Int64(count), key, stream, Int64(first), start)
            }
            initialized = count
        }
    }
}
