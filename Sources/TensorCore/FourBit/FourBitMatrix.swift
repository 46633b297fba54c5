package import CKernels

/// Numbers in 4 bits as bitsandbytes keeps them (Dettmers et al., 2023): each is an entry of a table of sixteen, times
/// the scale of its block.
///
/// The numbers of a tensor are one row-major run: blocks go over the ends of rows. The bytes are bitsandbytes' own, so
/// that a file in its layout is used where it lies.
public final class FourBitMatrix: Sendable {
    /// Where the scales of the blocks come from.
    public enum Scales: Sendable {
        /// One float32 a block, little-endian.
        case single(MappedBytes)
        /// Double quantisation: one code a block; scale = `table[code] · groups[block / groupSize] + offset`.
        case double(codes: MappedBytes, table: [Float], groups: [Float], groupSize: Int, offset: Float)

        /// What is kept for every block.
        var bytes: MappedBytes {
            switch self {
            case .single(let bytes), .double(let bytes, _, _, _, _): bytes
            }
        }
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

    private let view: FourBitView

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
        view = FourBitView(codes, table, blockSize, scales)
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

    /// The same for some columns of rows that have `width` of them, `[rows.count, columns.count]`.
    func expand(rows: Range<Int>, columns: Range<Int>, of width: Int, into target: UnsafeMutablePointer<Float>) {
        withRuns(rows, columns, width) { martlet_expand_four_bit($0, $1, $2, target + $3) }
    }

    /// The same rounded to bfloat16 (nearest even).
    package func expand(_ range: Range<Int>, into target: UnsafeMutablePointer<UInt16>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "numbers \(range) asked for of \(count)")
        withKernelView { martlet_expand_four_bit_bf16($0, Int64(range.lowerBound), Int64(range.count), target) }
    }

    /// The same for some columns of rows that have `width` of them, `[rows.count, columns.count]`.
    func expand(rows: Range<Int>, columns: Range<Int>, of width: Int, into target: UnsafeMutablePointer<UInt16>) {
        withRuns(rows, columns, width) { martlet_expand_four_bit_bf16($0, $1, $2, target + $3) }
    }

    /// Calls `body` with runs of numbers that lie one after another, and where they go: whole rows are one run.
    private func withRuns(
        _ rows: Range<Int>, _ columns: Range<Int>, _ width: Int,
        _ body: (UnsafePointer<martlet_four_bit>, _ first: Int64, _ count: Int64, _ to: Int) -> Void
    ) {
        precondition(rows.lowerBound >= 0 && rows.upperBound * width <= count, "rows \(rows) of \(count) numbers")
        withKernelView { view in
            if columns == 0..<width { return body(view, Int64(rows.lowerBound * width), Int64(rows.count * width), 0) }
            for (index, row) in rows.enumerated() {
                body(view, Int64(row * width + columns.lowerBound), Int64(columns.count), index * columns.count)
            }
        }
    }

    /// The struct that the kernels take, valid as long as the matrix lives.
    package var kernelView: UnsafePointer<martlet_four_bit> { UnsafePointer(view.pointer) }

    /// The same, valid during `body`.
    package func withKernelView(_ body: (UnsafePointer<martlet_four_bit>) -> Void) {
        withExtendedLifetime(view) { body(kernelView) }
    }
}

/// The struct that the kernels take, and all that it points at: made once, because small products take it often.
///
/// Unchecked Sendable: written only by `init`.
private final class FourBitView: @unchecked Sendable {
    let pointer = UnsafeMutablePointer<martlet_four_bit>.allocate(capacity: 1)
    private let numbers: UnsafeMutableBufferPointer<Float>
    private let codes, scales: MappedBytes

    init(_ codes: MappedBytes, _ table: [Float], _ blockSize: Int, _ scales: FourBitMatrix.Scales) {
        self.codes = codes
        var view = martlet_four_bit()
        view.block_size = Int64(blockSize)
        func start(_ bytes: MappedBytes) -> UnsafePointer<UInt8>? {
            bytes.unsafeBytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
        }
        view.codes = start(codes)
        switch scales {
        case .single(let bytes):
            (self.scales, view.scales) = (bytes, start(bytes))
            numbers = Self.copied(table)
        case .double(let scaleCodes, let scaleTable, let groups, let groupSize, let offset):
            (self.scales, view.scale_codes) = (scaleCodes, start(scaleCodes))
            numbers = Self.copied(table + scaleTable + groups)
            view.scale_table = numbers.baseAddress.map { UnsafePointer($0 + table.count) }
            view.group_scales = numbers.baseAddress.map { UnsafePointer($0 + table.count + scaleTable.count) }
            (view.group_size, view.offset) = (Int64(groupSize), offset)
        }
        view.table = numbers.baseAddress.map { UnsafePointer($0) }
        pointer.initialize(to: view)
    }

    deinit {
        pointer.deallocate()
        numbers.deallocate()
    }

    private static func copied(_ values: [Float]) -> UnsafeMutableBufferPointer<Float> {
        let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: values.count)
        _ = buffer.initialize(from: values)
        return buffer
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
