/// Vectors that multiply packed operands: those of the CPU, by kernels of our own.
package enum VectorUnit: Sendable {
    /// They multiply float32.
    case float32
    /// They multiply float32, and twice as many of float16 at a time.
    case float16
}
