package import CKernels

/// Numbers in 4 bits as bitsandbytes keeps them (Dettmers et al., 2023): each is an entry of a table of sixteen, times
/// the scale of its block.
///
/// The numbers of a tensor are one row-major run: blocks go over the ends of rows. The bytes are bitsandbytes' own, so
/// that a file in its layout is used where it lies.
public struct FourBitMatrix: Sendable {
    /// Where the scales of the blocks come from.
    public enum Scales: Sendable {
        /// One float32 a block, little-endian.
        case single(MappedBytes)
        /// Double quantisation: one code a block; scale = `table[code] · groups[block / groupSize] + offset`.
        case double(codes: MappedBytes, table: [Float], groups: [Float], groupSize: Int, offset: Float)
    }

    /// Two numbers a byte, the first in the high nibble.
    public let codes: MappedBytes
    /// The sixteen values that a code stands for.
    public let table: [Float]
    /// Numbers that share a scale; the last block may be shorter.
    public let blockSize: Int
    /// The scales.
    public let scales: Scales
    /// How many numbers there are.
    public let count: Int

    /// Number of blocks.
    public var blockCount: Int { Self.pieces(count, blockSize) }

    /// Bytes of codes and scales.
    public var byteCount: Int {
        switch scales {
        case .single(let scales): codes.count + scales.count
        case .double(let scaleCodes, let table, let groups, _, _):
            codes.count + scaleCodes.count + 4 * (table.count + groups.count)
        }
    }

    /// Puts the parts together after checking that they belong together.
    public init(
        count: Int, codes: MappedBytes, table: [Float], blockSize: Int, scales: Scales
    ) throws(FourBitProblem) {
        (self.count, self.codes, self.table, self.blockSize, self.scales) = (count, codes, table, blockSize, scales)
        guard table.count == 16 else { throw .partSize(.table, expected: 16, found: table.count) }
        guard blockSize >= 2, blockSize % 2 == 0, blockSize <= 1 << 20 else { throw .blockSize(blockSize) }
        let expected = Self.pieces(count, 2)
        guard codes.count == expected else { throw .partSize(.codes, expected: expected, found: codes.count) }
        switch scales {
        case .single(let bytes):
            guard bytes.count == 4 * blockCount else {
                throw .partSize(.scales, expected: 4 * blockCount, found: bytes.count)
            }
        case .double(let scaleCodes, let scaleTable, let groups, let groupSize, let offset):
            guard groupSize >= 1, groupSize <= 1 << 20 else { throw .blockSize(groupSize) }
            guard scaleCodes.count == blockCount else {
                throw .partSize(.scales, expected: blockCount, found: scaleCodes.count)
            }
            guard scaleTable.count == 256 else { throw .partSize(.scaleTable, expected: 256, found: scaleTable.count) }
            let groupCount = Self.pieces(blockCount, groupSize)
            guard groups.count == groupCount else {
                throw .partSize(.groupScales, expected: groupCount, found: groups.count)
            }
            guard offset.isFinite, groups.allSatisfy(\.isFinite) else { throw .notFinite(.groupScales) }
        }
        guard table.allSatisfy(\.isFinite) else { throw .notFinite(.table) }
    }

    private static func pieces(_ count: Int, _ size: Int) -> Int { count / size + (count % size == 0 ? 0 : 1) }

    /// Writes the numbers of `range`, counted in row-major order, as float32. Several threads may do so at once.
    public func expand(_ range: Range<Int>, into target: UnsafeMutablePointer<Float>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "numbers \(range) asked for of \(count)")
        withKernelView { martlet_expand_four_bit($0, Int64(range.lowerBound), Int64(range.count), target) }
    }

    /// The same rounded to bfloat16 (nearest even).
    package func expand(_ range: Range<Int>, into target: UnsafeMutablePointer<UInt16>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "numbers \(range) asked for of \(count)")
        withKernelView { martlet_expand_four_bit_bf16($0, Int64(range.lowerBound), Int64(range.count), target) }
    }

    /// The struct that the kernels take, valid during `body`.
    package func withKernelView(_ body: (UnsafePointer<martlet_four_bit>) -> Void) {
        codes.withUnsafeBytes { codes in
            table.withUnsafeBufferPointer { table in
                var view = martlet_four_bit()
                view.codes = codes.baseAddress?.assumingMemoryBound(to: UInt8.self)
                view.table = table.baseAddress
                view.block_size = Int64(blockSize)
                switch scales {
                case .single(let bytes):
                    bytes.withUnsafeBytes {
                        view.scales = $0.baseAddress?.assumingMemoryBound(to: UInt8.self)
                        body(&view)
                    }
                case .double(let scaleCodes, let scaleTable, let groups, let groupSize, let offset):
                    scaleCodes.withUnsafeBytes { scaleCodes in
                        scaleTable.withUnsafeBufferPointer { scaleTable in
                            groups.withUnsafeBufferPointer { groups in
                                view.scale_codes = scaleCodes.baseAddress?.assumingMemoryBound(to: UInt8.self)
                                (view.scale_table, view.group_scales) = (scaleTable.baseAddress, groups.baseAddress)
                                (view.group_size, view.offset) = (Int64(groupSize), offset)
                                body(&view)
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Why parts cannot be a matrix in 4 bits.
public enum FourBitProblem: Error, Sendable, Hashable, CustomStringConvertible {
    /// The parts that such a matrix has; raw values say what they are called in sentences.
    public enum Part: String, Sendable {
        /// Two numbers a byte.
        case codes = "packed bytes"
        /// The sixteen values.
        case table = "values in its table"
        /// One for each block.
        case scales = "bytes of block scales"
        /// The 256 values that scale codes stand for.
        case scaleTable = "values in the table of its scales"
        /// One for each group of scales.
        case groupScales = "nested scales"
    }

    /// A part has another size than the number of elements and blocks asks for.
    case partSize(Part, expected: Int, found: Int)
    /// Blocks of this size cannot be.
    case blockSize(Int)
    /// A part holds an infinity or something that is no number.
    case notFinite(Part)

    /// A clause that follows the tensor's name and "is damaged:".
    public var description: String {
        switch self {
        case .partSize(let part, let expected, let found): "it has \(found) \(part.rawValue), expected \(expected)"
        case .blockSize(let size): "its block size is \(size), expected an even number from 2 to \(1 << 20)"
        case .notFinite(let part): "its \(part.rawValue) are not all finite"
        }
    }
}
