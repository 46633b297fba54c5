internal import CKernels

extension StoredFormat {
    /// A kernel that multiplies a few rows of activations with rows of this format where they lie; see `dot.h`.
    typealias DotKernel = @convention(c) (
        _ count: Int64, _ rows: Int64, _ columns: Int64, _ x: UnsafePointer<Float>?, _ stride: Int64,
        _ weight: UnsafeRawPointer?, _ weightStride: Int64, _ round: Int32, _ accumulate: Int32,
        _ result: UnsafeMutablePointer<Float>?, _ resultStride: Int64
    ) -> Void

    /// The kernel of this format, with the fastest code this CPU runs.
    var dotKernel: DotKernel {
        switch self {
        case .float32: martlet_dot_rows_f32
        case .float16: martlet_dot_rows_f16
        case .bfloat16: martlet_dot_rows_bf16
        case .q4_0: martlet_dot_rows_q4_0
        case .q4_1: martlet_dot_rows_q4_1
        case .q5_0: martlet_dot_rows_q5_0
        case .q5_1: martlet_dot_rows_q5_1
        case .q8_0: martlet_dot_rows_q8_0
        case .q4_K: martlet_dot_rows_q4_K
        case .q5_K: martlet_dot_rows_q5_K
        case .q6_K: martlet_dot_rows_q6_K
        case .mxfp4: martlet_dot_rows_mxfp4
        }
    }
}
