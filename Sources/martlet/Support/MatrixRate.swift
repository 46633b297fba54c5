import Foundation
import Synchronization
import TensorCore

/// Rates of matrix products: the yardsticks of everything else.
enum MatrixRate {
    /// Billions of floating-point operations a second of a 2048³ product on all threads, the best of five.
    /// - Parameter precision: that of the product.
    static func measure(on compute: Compute, precision: Precision = .float32) -> Double {
        let size = 2048
        let a = compute.tensor([Float](repeating: 0.5, count: size * size), shape: [size, size])
        let reference = Compute(sharing: compute, precision: precision)
        let seconds = (0..<5).map { _ in
            let start = ContinuousClock.now
            _ = reference.product(a, transposed: .dense(a))
            return (ContinuousClock.now - start) / .seconds(1)
        }
        return 2 * Double(size * size * size) / (seconds.min() ?? .infinity) / 1e9
    }

    /// The same by OpenBLAS, wherever our own kernels are used instead.
    static func ofLibrary(threads: Int) throws -> Double {
        measure(on: try Compute(precision: .float32, threadCount: threads, tiles: nil, vectors: nil))
    }

    /// The same in float16, which vectors of our own multiply.
    static func inFloat16(threads: Int) throws -> Double {
        let compute = try Compute(precision: .bfloat16, threadCount: threads, tiles: nil, vectors: .float16)
        return measure(on: compute, precision: .bfloat16)
    }

    /// The same of what multiplies tiles, whose operands lie in the first-level cache, added up over all threads.
    static func measure(_ unit: TileUnit, on compute: Compute) -> Double {
        let rates = Mutex([Double](repeating: 0, count: compute.threads.threadCount))
        compute.threads.run(tiles: compute.threads.threadCount) { thread in
            let rate = unit.rate(seconds: 0.3)
            rates.withLock { $0[thread] = rate }
        }
        return rates.withLock { $0.reduce(0, +) }
    }

    /// The same with the kernels that an old OpenBLAS falls back to on CPUs it does not know, measured in a process of its
    /// own, since the choice is made when the library is loaded.
    static func ofFallback(threads: Int) -> Double? {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = ["doctor", "--rate-only", "--threads", "\(threads)"]
        process.environment = ProcessInfo.processInfo.environment.merging(["OPENBLAS_CORETYPE": "Prescott"]) { $1 }
        let output = Pipe()
        process.standardOutput = output
        guard (try? process.run()) != nil else { return nil }
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Double(String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines))
    }
}
