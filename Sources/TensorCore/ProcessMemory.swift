import Foundation

/// Memory of this process and its machine, in bytes, from /proc. `nil` where the system does not tell.
public enum ProcessMemory {
    /// Highest resident size so far, mapped pages included (VmHWM).
    public static var peak: Int? { field("VmHWM:", of: "/proc/self/status") }

    /// Resident size now, mapped pages included (VmRSS).
    public static var resident: Int? { field("VmRSS:", of: "/proc/self/status") }

    /// Lets ``peak`` begin again at what is resident now; false where the system does not allow it.
    package static func resetPeak() -> Bool {
        guard let file = FileHandle(forWritingAtPath: "/proc/self/clear_refs") else { return false }
        return (try? file.write(contentsOf: Data("5".utf8))) != nil
    }

    /// Resident memory that is not mapped from files (RssAnon).
    public static var anonymous: Int? { field("RssAnon:", of: "/proc/self/status") }

    /// Memory of the machine.
    public static var total: Int? { field("MemTotal:", of: "/proc/meminfo") }

    /// The most that this process may use: the memory of the machine, or the limit of its cgroup if that is less.
    public static var limit: Int? {
        guard let limit = ControlGroup.memoryLimit() else { return total }
        return total.map { min($0, limit) } ?? limit
    }

    private static func field(_ name: String, of path: String) -> Int? {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix(name) })
        else { return nil }
        return line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int($0) }.map { $0 * 1024 }
    }
}
