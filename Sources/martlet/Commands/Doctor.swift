import ArgumentParser
import Datasets
import Foundation
import TensorCore
import Tokenization

struct Doctor: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Says what this machine can do: CPU, OpenBLAS and its core, measured speed, memory.",
        discussion: """
            Speed in float32 and float16 is that of a 2048³ product on all threads, the best of five. That in bfloat16 is the rate of \
            AMX tile registers, or of AVX512-BF16 vectors, fed from the first-level cache, added up over all threads; AMX is used \
            only if a first product came out right, AVX512-BF16 only on CPUs on which it is faster than float32 (AMD's).
            """)

    @OptionGroup var compute: ComputeOptions

    @Flag(help: "Print one JSON object.")
    var json = false

    @Flag(help: ArgumentHelp("Measure OpenBLAS only and print the rate.", visibility: .hidden))
    var rateOnly = false

    func run() throws {
        let compute = try compute.makeCompute()
        let library = try MatrixRate.ofLibrary(threads: compute.threads.threadCount)
        if rateOnly { return Terminal.output("\(library)") }
        let vectorRate = InstructionSet.vectors != nil ? MatrixRate.measure(on: compute) : nil
        let halfRate = InstructionSet.vectors == .float16 ? try MatrixRate.inFloat16(threads: compute.threads.threadCount) : nil
        let unit = InstructionSet.current.tiles
        let tileRate = unit.map { MatrixRate.measure($0, on: compute) }
        let fallback = InstructionSet.best == .portable ? nil : MatrixRate.ofFallback(threads: compute.threads.threadCount)
        var warnings: [String] = []
        // Debian's library reaches about 5 with AVX-512 (2.4 on AMD's Zen 4, whose vectors are half as wide), and 2.7 if it takes the
        // CPU for one with AVX2 only.
        let expected = CPUInformation.vendor == "AuthenticAMD" ? 2.0 : 3.0
        if let fallback, ![.portable, .avx2].contains(InstructionSet.best), library < expected * fallback {
            let ratio = String(format: "%.1f times as fast as its oldest kernel, expected at least %.0f", library / fallback, expected)
            warnings.append(
                "OpenBLAS is \(ratio): either other programs use the CPU, or the library does not know it (its core is \(BLAS.core))")
        }
        let report = JSONObject([
            ("cpu", .object([
                "model": .string(CPUInformation.model), "cores": .integer(Compute.availableProcessors()),
                "features": .array(CPUInformation.features.map { .string($0) }),
            ])),
            ("openblas", .object([
                "version": .string(BLAS.version), "core": .string(BLAS.core), "threads": .integer(compute.threads.threadCount),
                "gflops": .finite(library), "fallback_gflops": .finite(fallback),
            ])),
            ("paths", .array([
                .object(["name": .string("openblas-float32"), "available": .bool(true), "gflops": .finite(library)]),
                .object([
                    "name": .string("vectors-float32"), "available": .bool(vectorRate != nil), "gflops": .finite(vectorRate),
                ]),
                .object([
                    "name": .string("vectors-float16"), "available": .bool(halfRate != nil), "gflops": .finite(halfRate),
                ]),
                .object([
                    "name": .string("vectors-bfloat16"), "available": .bool(unit == .vectors),
                    "gflops": .finite(unit == .vectors ? tileRate : nil),
                ]),
                .object([
                    "name": .string("amx-bfloat16"), "available": .bool(unit == .amx),
                    "gflops": .finite(unit == .vectors ? nil : tileRate),
                    "reason": reason(against: unit).map { .string($0) } ?? .null,
                ]),
            ])),
            ("kernels", .string(InstructionSet.current.rawValue)),
            ("memory", .object([
                "total_bytes": ProcessMemory.total.map { .integer($0) } ?? .null,
                "limit_bytes": ControlGroup.memoryLimit().map { .integer($0) } ?? .null,
            ])),
            ("warnings", .array(warnings.map { .string($0) })),
        ])
        json ? Terminal.output(report) : printText(library, vectorRate, halfRate, tileRate, unit, fallback, warnings, compute)
    }

    /// Why products do not run on the tile registers of this CPU.
    private func reason(against unit: TileUnit?) -> String? {
        switch unit {
        case .amx: nil
        case .emulated: "the tile registers are emulated"
        case .vectors, nil: InstructionSet.reasonAgainstAMX ?? "another instruction set was asked for"
        }
    }

    private func printText(
        _ library: Double, _ vectorRate: Double?, _ halfRate: Double?, _ tileRate: Double?, _ unit: TileUnit?, _ fallback: Double?,
        _ warnings: [String], _ compute: Compute
    ) {
        Terminal.output("CPU        \(CPUInformation.model), \(Compute.availableProcessors()) usable processors")
        Terminal.output("kernels    \(InstructionSet.current.rawValue)")
        Terminal.output("OpenBLAS   \(BLAS.version), core \(BLAS.core)")
        let threads = compute.threads.threadCount.counted("thread")
        let own = vectorRate.map { String(format: "%.0f GFLOP/s in float32 on \(threads)\n           ", $0) } ?? ""
        Terminal.output("speed      \(own)" + String(format: "%.0f GFLOP/s in float32 by OpenBLAS on \(threads)", library))
        if let fallback { Terminal.output(String(format: "           %.0f GFLOP/s with its oldest kernel, %.1f times less", fallback, library / fallback)) }
        if let halfRate { Terminal.output(String(format: "           %.0f GFLOP/s in float16", halfRate)) }
        if let tileRate, let unit {
            Terminal.output(String(format: "           %.0f GFLOP/s in bfloat16 on \(unit.name)", tileRate))
        }
        if let reason = reason(against: unit) { Terminal.output("           no products in bfloat16 on AMX: \(reason)") }
        let memory = ProcessMemory.total.map { String(format: "%.1f GB", Double($0) / 1e9) } ?? "unknown"
        let limit = ControlGroup.memoryLimit().map { String(format: ", limited to %.1f GB", Double($0) / 1e9) } ?? ""
        Terminal.output("memory     \(memory)\(limit)")
        for warning in warnings { Terminal.output("warning    \(warning)") }
    }
}

/// What /proc/cpuinfo says.
enum CPUInformation {
    static var model: String { field("model name") ?? "unknown" }
    static var vendor: String { field("vendor_id") ?? "unknown" }

    /// The features that matter for speed here.
    static var features: [String] {
        let known: Set = ["avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_bf16", "avx512_fp16", "avx512_vnni", "amx_tile", "amx_bf16"]
        return (field("flags") ?? "").split(separator: " ").map(String.init).filter(known.contains)
    }

    private static func field(_ name: String) -> String? {
        guard let text = try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix(name) }),
            let colon = line.firstIndex(of: ":")
        else { return nil }
        return line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
    }
}
