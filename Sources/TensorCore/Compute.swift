import CKernels

/// Precision of a run: what products round their operands to and how activations are kept for the backward pass.
public enum Precision: String, Sendable, Codable, CaseIterable {
    /// Everything in float32: the reference.
    case float32
    /// Product operands rounded to bfloat16 (nearest even), sums in float32. Where the CPU is not faster at that but
    /// computes in float16, products round to float16 under scales that keep the range, and sum 64 or 96 steps in it before
    /// they go on in float32: about as exact. The forward pass hands float32 on from
    /// operation to operation, because what is rounded there changes all layers after it; what is kept of it inside a block,
    /// and the gradients there, are bfloat16.
    case bfloat16

    /// Element type of the activations that a block keeps for its backward pass, and of the gradients inside it.
    public var activationType: ElementType { self == .float32 ? .float32 : .bfloat16 }
}

/// What operations run on: the thread pool, the buffer pool and the precision. Make one for the process.
public final class Compute: Sendable {
    /// The threads.
    public let threads: ThreadPool
    /// Where tensors get their memory.
    public let buffers: BufferPool
    /// The policy of this run.
    public let precision: Precision
    /// What products in bfloat16 run on; nil is rounded operands in float32 products.
    private let tileUnit: TileUnit?
    /// The vectors of our own that products without tiles run on; nil is the library.
    let vectors: VectorUnit?
    /// The left operand that products on tiles have packed last.
    let recentRows = Recent<TileRows>()
    /// The low parts that were taken last.
    let recentLowParts = Recent<LowParts>()

    /// Opens OpenBLAS and starts the threads.
    /// - Parameter threadCount: threads to use; `nil` takes ``availableProcessors()``.
    /// - Throws: ``TensorError/openBLASMissing(reason:)``.
    public convenience init(precision: Precision = .float32, threadCount: Int? = nil) throws(TensorError) {
        try self.init(precision: precision, threadCount: threadCount, tiles: InstructionSet.current.tiles)
    }

    /// The same with another unit for tiles and other vectors than those of the instruction set in use.
    package init(
        precision: Precision, threadCount: Int?, tiles: TileUnit?, vectors: VectorUnit? = InstructionSet.vectors
    ) throws(TensorError) {
        try BLAS.open()
        (tileUnit, self.vectors) = (tiles, vectors)
        threads = ThreadPool(threadCount: threadCount ?? Self.availableProcessors())
        buffers = BufferPool()
        self.precision = precision
    }

    /// The same threads and buffers under another precision.
    public init(sharing other: Compute, precision: Precision) {
        threads = other.threads
        buffers = other.buffers
        (tileUnit, vectors) = (other.tileUnit, other.vectors)
        self.precision = precision
    }

    /// Tile registers for the products of this precision.
    package var tiles: TileUnit? { precision == .bfloat16 ? tileUnit : nil }

    /// Whether products of many rows run in float16.
    package var multipliesFloat16: Bool { precision == .bfloat16 && tiles == nil && vectors == .float16 }

    /// Whether operands are rounded to bfloat16.
    package var roundsToBfloat16: Bool { precision == .bfloat16 && !multipliesFloat16 }

    /// What operands of products in float32 are rounded to.
    package var operandPrecision: Precision { roundsToBfloat16 ? .bfloat16 : .float32 }

    /// Memory for tiles that are packed.
    package func emptyTiles(_ shape: [Int]) -> Tensor { Tensor(shape: shape, elementType: .bfloat16, pool: buffers) }

    /// A tensor whose elements are not set yet.
    public func empty(_ shape: [Int], _ type: ElementType = .float32) -> Tensor {
        let mayBeTiles = tiles != nil && type == .bfloat16 && shape.count > 1
        return Tensor(shape: shape, elementType: type, zeroRows: mayBeTiles ? TileRows.zeroRows : 0, pool: buffers)
    }

    /// A float32 tensor of zeros.
    public func zeros(_ shape: [Int]) -> Tensor {
        let tensor = empty(shape)
        tensor.output.update(repeating: 0, count: tensor.count)
        return tensor
    }

    /// A float32 tensor holding `values` in row-major order.
    public func tensor(_ values: [Float], shape: [Int]) -> Tensor {
        precondition(values.count == shape.reduce(1, *), "\(values.count) values for shape \(shape)")
        let tensor = empty(shape)
        values.withUnsafeBufferPointer { tensor.output.update(from: $0.baseAddress!, count: values.count) }
        return tensor
    }

    /// A float32 copy with storage of its own.
    public func copy(_ tensor: Tensor) -> Tensor { converted(tensor, to: .float32, always: true) }

    /// `factor · x` of a dense float32 tensor, on the calling thread.
    package func scaled(_ x: Tensor, by factor: Float) -> Tensor {
        let y = empty(x.shape)
        martlet_scale(Int64(x.count), factor, x.floats, y.output)
        return y
    }

    /// The tensor, dense and with elements of the given type; the same tensor if it is so already.
    public func converted(_ tensor: Tensor, to type: ElementType, always: Bool = false) -> Tensor {
        if tensor.elementType == type && tensor.isDense && !always { return tensor }
        let result = empty(tensor.shape, type)
        forEachRowBlock(of: tensor.rows, rowElements: tensor.columns) { copyRows(tensor, $0, to: result) }
        return result
    }

    /// Number of processors this process may use: its affinity mask, cut to the CPU quota of its cgroup (rounded up).
    public static func availableProcessors() -> Int {
        let processors = Int(martlet_allowed_processors())
        return ControlGroup.cpuQuota().map { max(1, min(processors, Int($0.rounded(.up)))) } ?? processors
    }
}

/// Errors of the tensor library that are not programmer mistakes.
public enum TensorError: Error, CustomStringConvertible, Equatable {
    /// OpenBLAS could not be loaded.
    case openBLASMissing(reason: String)

    /// One sentence with the remedy.
    public var description: String {
        switch self {
        case .openBLASMissing(let reason):
            "OpenBLAS could not be loaded (\(reason)); install it, on Debian and Ubuntu with `apt-get install libopenblas0-pthread`"
        }
    }
}
