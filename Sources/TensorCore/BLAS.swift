import COpenBLAS

/// The installed OpenBLAS, used on one thread at a time under our own pool.
public enum BLAS {
    /// Loads OpenBLAS; later calls return at once.
    /// - Throws: ``TensorError/openBLASMissing(reason:)``.
    public static func open() throws(TensorError) {
        guard opened else { throw .openBLASMissing(reason: String(cString: martlet_blas_error())) }
    }

    private static let opened = martlet_blas_open() == 0

    /// What the library says of its version and build.
    public static var version: String { String(cString: martlet_blas_version()) }
    /// The CPU type whose kernels it uses, for example `SkylakeX`.
    public static var core: String { String(cString: martlet_blas_core()) }
}

/// A float32 matrix in memory: a pointer and the distance between rows, as products take it.
package struct MatrixPointer {
    package let start: UnsafePointer<Float>
    package let stride: Int
    package var isTransposed = false

    package init(_ start: UnsafePointer<Float>, stride: Int) {
        self.start = start
        self.stride = stride
    }

    package init(_ start: UnsafeMutablePointer<Float>, stride: Int) {
        self.init(UnsafePointer(start), stride: stride)
    }

    /// The same memory read as its transpose.
    package var transposed: MatrixPointer {
        var copy = self
        copy.isTransposed.toggle()
        return copy
    }

    /// The same matrix from a column on.
    package func from(column: Int) -> MatrixPointer {
        var copy = MatrixPointer(start + column * (isTransposed ? stride : 1), stride: stride)
        copy.isTransposed = isTransposed
        return copy
    }

    /// The distance of rows of a `[rows, columns]` matrix as the library wants it: one row alone may have told any.
    fileprivate func distance(rows: Int, columns: Int) -> Int {
        let (rows, columns) = isTransposed ? (columns, rows) : (rows, columns)
        return max(1, rows == 1 ? max(stride, columns) : stride)
    }
}

/// `c[m, n] = alpha · a[m, k] · b[k, n] + beta · c` on the calling thread. Needs ``BLAS/open()`` to have succeeded.
package func sgemm(
    _ m: Int, _ n: Int, _ k: Int, alpha: Float = 1, _ a: MatrixPointer, _ b: MatrixPointer, beta: Float = 0,
    into c: UnsafeMutablePointer<Float>, stride: Int
) {
    if m == 0 || n == 0 { return }
    martlet_sgemm(
        a.isTransposed ? 1 : 0, b.isTransposed ? 1 : 0, m, n, k, alpha, a.start, a.distance(rows: m, columns: k), b.start,
        b.distance(rows: k, columns: n), beta, c, MatrixPointer(c, stride: stride).distance(rows: m, columns: n))
}
