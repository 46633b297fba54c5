import Foundation
import Tokenization
import Training

/// The last line of standard output of a training run.
struct RunSummary {
    private let object: JSONObject

    init(_ state: TrainingState, run: String, adapter: String, speed: Double? = nil) {
        object = [
            "run": .string(run), "steps": .integer(state.step), "loss": .finite(state.loss),
            "validation_loss": .finite(state.validationLoss), "tokens_per_second": .finite(speed),
            "peak_memory_bytes": ProcessMemory.peak.map { .integer($0) } ?? .null, "adapter": .string(adapter),
        ]
    }

    func print() { Terminal.output(object) }
}

/// Memory of this process, from /proc.
enum ProcessMemory {
    /// Highest resident size so far, in bytes, mapped pages included (VmHWM).
    static var peak: Int? { field("VmHWM:", of: "/proc/self/status") }

    /// Memory of the machine, in bytes.
    static var total: Int? { field("MemTotal:", of: "/proc/meminfo") }

    private static func field(_ name: String, of path: String) -> Int? {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix(name) })
        else { return nil }
        return line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int($0) }.map { $0 * 1024 }
    }
}
