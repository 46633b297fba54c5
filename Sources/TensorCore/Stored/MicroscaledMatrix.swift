internal import CKernels

/// 4-bit floats whose blocks of 32 share a power of two (OCP MXFP4), with codes and scales apart, as safetensors files
/// have them.
public struct MicroscaledMatrix: Sendable {
    /// Numbers that share a scale.
    public static let blockSize = 32

    /// Two numbers a byte, the first in the low nibble.
    public let codes: MappedBytes
    /// One exponent a block: the scale is `2^(s − 127)`.
    public let scales: MappedBytes

    /// Bytes of codes and scales.
    public var byteCount: Int { codes.count + scales.count }

    /// Puts the parts together.
    public init(codes: MappedBytes, scales: MappedBytes) { (self.codes, self.scales) = (codes, scales) }

    /// Writes the numbers of whole blocks as float32, exactly. Several threads may do so at once.
    func expand(blocks: Range<Int>, into target: UnsafeMutablePointer<Float>) {
        codes.withUnsafeBytes { codes in
            scales.withUnsafeBytes { scales in
                guard let codes = codes.baseAddress, let scales = scales.baseAddress else { return }
                martlet_expand_microscaled(
                    codes.assumingMemoryBound(to: UInt8.self) + 16 * blocks.lowerBound,
                    scales.assumingMemoryBound(to: UInt8.self) + blocks.lowerBound, Int64(blocks.count), target)
            }
        }
    }
}
