import CKernels
import TensorCore

/// The rows of a tensor, looked up once for all threads: where they count references to the same object row by row, they
/// wait for each other.
struct TensorRows {
    private enum Elements {
        case float32(UnsafePointer<Float>)
        case bfloat16(UnsafePointer<UInt16>)
    }

    private let elements: Elements
    private let width, stride: Int
    private let owner: Tensor

    init(_ tensor: Tensor) {
        switch tensor.elementType {
        case .float32: elements = .float32(tensor.floatRows)
        case .bfloat16: elements = .bfloat16(tensor.bfloatRows)
        }
        (width, stride, owner) = (tensor.columns, tensor.rowStride, tensor)
    }

    /// A row as float32, where it lies if it is so.
    func read(_ row: Int, widenedIn scratch: UnsafeMutablePointer<Float>) -> UnsafePointer<Float> {
        switch elements {
        case .float32(let start): return start + row * stride
        case .bfloat16(let start):
            martlet_from_bfloat16(Int64(width), start + row * stride, scratch)
            return UnsafePointer(scratch)
        }
    }

    /// Fills a row of a tensor that nobody else has seen yet; by way of `scratch` if it is not float32.
    func write(
        _ row: Int, by scratch: UnsafeMutablePointer<Float>, _ body: (UnsafeMutablePointer<Float>) -> Void
    ) {
        switch elements {
        case .float32(let start): body(UnsafeMutablePointer(mutating: start) + row * stride)
        case .bfloat16(let start):
            body(scratch)
            martlet_to_bfloat16(Int64(width), scratch, UnsafeMutablePointer(mutating: start) + row * stride)
        }
    }
}
