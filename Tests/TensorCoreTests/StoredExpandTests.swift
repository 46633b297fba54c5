import CKernels
import TensorCore
import Testing

private typealias Expand = (UnsafePointer<UInt8>?, Int64, UnsafeMutablePointer<Float>?) -> Void

/// A small generator of reproducible random bytes.
private struct Bytes {
    var state: UInt64

    mutating func next() -> UInt8 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return UInt8(truncatingIfNeeded: state >> 56)
    }
}

/// The copies of each kernel that this CPU runs.
private func variants(_ format: StoredFormat) -> [Expand] {
    switch format {
    case .float32: []
    case .float16: available(martlet_expand_f16_portable, martlet_expand_f16_avx2, martlet_expand_f16_avx512)
    case .bfloat16: available(martlet_expand_bf16_portable, martlet_expand_bf16_avx2, martlet_expand_bf16_avx512)
    case .q4_0: available(martlet_expand_q4_0_portable, martlet_expand_q4_0_avx2, martlet_expand_q4_0_avx512)
    case .q4_1: available(martlet_expand_q4_1_portable, martlet_expand_q4_1_avx2, martlet_expand_q4_1_avx512)
    case .q5_0: available(martlet_expand_q5_0_portable, martlet_expand_q5_0_avx2, martlet_expand_q5_0_avx512)
    case .q5_1: available(martlet_expand_q5_1_portable, martlet_expand_q5_1_avx2, martlet_expand_q5_1_avx512)
    case .q8_0: available(martlet_expand_q8_0_portable, martlet_expand_q8_0_avx2, martlet_expand_q8_0_avx512)
    case .q4_K: available(martlet_expand_q4_K_portable, martlet_expand_q4_K_avx2, martlet_expand_q4_K_avx512)
    case .q5_K: available(martlet_expand_q5_K_portable, martlet_expand_q5_K_avx2, martlet_expand_q5_K_avx512)
    case .q6_K: available(martlet_expand_q6_K_portable, martlet_expand_q6_K_avx2, martlet_expand_q6_K_avx512)
    case .mxfp4: available(martlet_expand_mxfp4_portable, martlet_expand_mxfp4_avx2, martlet_expand_mxfp4_avx512)
    }
}

private func expand(_ kernel: Expand, _ bytes: [UInt8], at offset: Int, blocks: Int, elements: Int) -> [UInt32] {
    // One more float than needed, to see a write beyond the end.
    var out = [Float](repeating: -123, count: blocks * elements + 1)
    bytes.withUnsafeBufferPointer { source in
        out.withUnsafeMutableBufferPointer {
            kernel(source.baseAddress.map { $0 + offset }, Int64(blocks), $0.baseAddress)
        }
    }
    return out.map(\.bitPattern)
}

@Suite struct StoredExpandTests {
    /// Random blocks, infinite and undefined scales among them, at every alignment and around every vector width.
    @Test(arguments: StoredFormat.allCases.filter { $0 != .float32 })
    func variantsAgreeToTheBit(format: StoredFormat) throws {
        var random = Bytes(state: 1)
        let kernels = variants(format)
        for blocks in [0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 65, format.isQuantized ? 67 : 1023] {
            for offset in 0..<4 {
                let bytes = (0..<blocks * format.blockBytes + offset + 1).map { _ in random.next() }
                let reference = expand(kernels[0], bytes, at: offset, blocks: blocks, elements: format.blockElements)
                #expect(reference.last == Float(-123).bitPattern)
                for kernel in kernels.dropFirst() {
                    let found = expand(kernel, bytes, at: offset, blocks: blocks, elements: format.blockElements)
                    #expect(normalized(found) == normalized(reference), "\(blocks) blocks at \(offset)")
                }
            }
        }
    }

    @Test func scalesApartAgreeToTheBit() throws {
        typealias Kernel = (
            UnsafePointer<UInt8>?, UnsafePointer<UInt8>?, Int64, UnsafeMutablePointer<Float>?
        ) -> Void
        let kernels: [Kernel] = available(
            martlet_expand_microscaled_portable, martlet_expand_microscaled_avx2, martlet_expand_microscaled_avx512)
        var random = Bytes(state: 3)
        for blocks in [0, 1, 2, 7, 16, 33] {
            let codes = (0..<16 * blocks + 1).map { _ in random.next() }
            let scales = (0..<blocks + 1).map { _ in random.next() }
            let results = kernels.map { kernel in
                var out = [Float](repeating: -123, count: 32 * blocks + 1)
                out.withUnsafeMutableBufferPointer { out in
                    codes.withUnsafeBufferPointer { codes in
                        scales.withUnsafeBufferPointer {
                            kernel(codes.baseAddress, $0.baseAddress, Int64(blocks), out.baseAddress)
                        }
                    }
                }
                return normalized(out.map(\.bitPattern))
            }
            #expect(results.allSatisfy { $0 == results[0] } && results[0].last == Float(-123).bitPattern)
        }
    }

    /// The sign and payload of a NaN that an operation makes are left open by IEEE 754.
    private func normalized(_ bits: [UInt32]) -> [UInt32] {
        bits.map { $0 & 0x7FFF_FFFF > 0x7F80_0000 ? 0x7FC0_0000 : $0 }
    }

    @Test func everyHalfExpandsToItsValue() {
        let bytes = (0...UInt16.max).flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] }
        for kernel in variants(.float16) {
            let found = expand(kernel, bytes, at: 0, blocks: 65_536, elements: 1)
            for half in 0...UInt16.max {
                let expected = Float(Float16(bitPattern: half))
                let bits = found[Int(half)]
                #expect(expected.isNaN ? Float(bitPattern: bits).isNaN : bits == expected.bitPattern, "\(half)")
            }
        }
    }

    @Test func formatsKnowTheirSizes() {
        #expect(StoredFormat.q4_K.byteCount(elements: 512) == 288)
        #expect(StoredFormat.q4_K.byteCount(elements: 128) == nil)
        #expect(StoredFormat.float32.byteCount(elements: .max) == nil)
        #expect(StoredFormat.float32.byteCount(elements: -1) == nil)
        #expect(StoredFormat(rawValue: "Q6_K") == .q6_K)
        #expect(StoredFormat.allCases.count == 12)
    }
}
