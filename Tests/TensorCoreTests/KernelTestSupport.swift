import CKernels
import TensorCore
import Synchronization
import Testing

/// Lengths around the widths of vectors and unrolled loops.
let kernelSizes = [0, 1, 7, 8, 9, 15, 16, 17, 31, 33, 1023]

/// How far a kernel may lie from double arithmetic and from its portable form.
struct KernelTolerance {
    let relative, absolute: Double

    /// The same operations on the same bits.
    static let exact = KernelTolerance(relative: 0, absolute: 0)
    /// One or two roundings; variants may contract a product and a sum.
    static let rounding = KernelTolerance(relative: 3e-7, absolute: 1e-7)
    /// A few roundings and an exponential that is good to 2e-7.
    static let exponential = KernelTolerance(relative: 2e-6, absolute: 5e-7)
    /// Sums of up to a thousand float32 products of size one, in partial sums.
    static let sum = KernelTolerance(relative: 3e-6, absolute: 3e-5)
    /// Sums in double precision.
    static let doubleSum = KernelTolerance(relative: 1e-12, absolute: 1e-12)

    func allows(_ found: Double, _ expected: Double) -> Bool {
        if found.isNaN || expected.isNaN { return found.isNaN && expected.isNaN }
        return found == expected || abs(found - expected) <= absolute + relative * abs(expected)
    }
}

/// Of the forms of a kernel, in the order of their levels, those that this CPU runs.
func available<Kernel>(_ forms: Kernel...) -> [Kernel] {
    Array(forms.prefix(Int(martlet_best_isa()) + 1))
}

/// The copies of a kernel in float16 that this CPU runs.
func float16Copies<Kernel>(_ portable: Kernel, _ best: Kernel) -> [Kernel] {
    martlet_best_isa() >= Int32(MARTLET_ISA_AVX512_FP16) ? [portable, best] : [portable]
}

/// Runs every form and compares it with double arithmetic and with the portable form.
func expectAgreement<Kernel>(
    _ kernels: [Kernel], _ tolerance: KernelTolerance, expected: [Double], _ what: String,
    sourceLocation: SourceLocation = #_sourceLocation, run: (Kernel) -> [Float]
) {
    let portable = run(kernels[0])
    #expect(portable.count == expected.count, "\(what)", sourceLocation: sourceLocation)
    for (level, kernel) in kernels.enumerated() {
        let found = run(kernel)
        let wrong = zip(found, expected).enumerated().first { !tolerance.allows(Double($1.0), $1.1) }
        #expect(
            wrong == nil, "\(what), level \(level): element \(String(describing: wrong))",
            sourceLocation: sourceLocation)
        let differs = zip(found, portable).enumerated().first { !tolerance.allows(Double($1.0), Double($1.1)) }
        #expect(
            differs == nil, "\(what), level \(level) against portable: \(String(describing: differs))",
            sourceLocation: sourceLocation)
        #expect(found.count == expected.count, "\(what), level \(level)", sourceLocation: sourceLocation)
    }
}

/// Reproducible numbers in ±`scale`.
func noise(_ count: Int, _ stream: UInt64, scale: Float = 1) -> [Float] {
    RandomStream(seed: 11, purpose: .initialization, stream: stream).uniform(count: count).map { (2 * $0 - 1) * scale }
}

func doubles(_ values: [Float]) -> [Double] { values.map { Double($0) } }

/// The values after `body` has changed them.
func changed(_ values: [Float], _ body: (UnsafeMutablePointer<Float>) -> Void) -> [Float] {
    // One guard element at the end: an empty array has no address, and writing past the end shows.
    var copy = values + [12345]
    copy.withUnsafeMutableBufferPointer { body($0.baseAddress!) }
    #expect(copy[values.count] == 12345, "written past the end of \(values.count) values")
    return Array(copy.dropLast())
}

/// `count` values that `body` writes.
func written(_ count: Int, _ body: (UnsafeMutablePointer<Float>) -> Void) -> [Float] {
    changed([Float](repeating: .nan, count: count), body)
}

/// Fills the memory that tensors and scratch get next with numbers that spoil every sum.
func leaveRubbish(in compute: Compute) {
    let tensors = (0..<4).map { _ in compute.empty([1 << 20]) }
    for tensor in tensors { tensor.output.update(repeating: .nan, count: tensor.count) }
    // Every thread has scratch of its own: none gets a second tile before all have one.
    let arrived = Atomic<Int>(0)
    compute.threads.run(tiles: compute.threads.threadCount) { _ in
        let count = ScratchStacks.capacity / 4
        compute.withScratch(count) { $0.update(repeating: .nan, count: count) }
        arrived.add(1, ordering: .relaxed)
        while arrived.load(ordering: .relaxed) < compute.threads.threadCount {}
    }
}
