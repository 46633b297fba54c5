import Foundation

/// Limits that a container sets on this process (cgroup v2, then v1).
public enum ControlGroup {
    /// CPUs per period that the process may use, or `nil` without a quota.
    public static func cpuQuota() -> Double? {
        if let text = read("/sys/fs/cgroup/cpu.max") {
            let parts = text.split(separator: " ")
            guard parts.count == 2, let quota = Double(parts[0]), let period = Double(parts[1]), period > 0 else { return nil }
            return quota / period
        }
        guard let quota = read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").flatMap(Double.init), quota > 0,
            let period = read("/sys/fs/cgroup/cpu/cpu.cfs_period_us").flatMap(Double.init), period > 0
        else { return nil }
        return quota / period
    }

    /// Bytes of memory that the process may use, or `nil` without a limit: the least of its group and those above it.
    public static func memoryLimit() -> Int? {
        let groups = read("/proc/self/cgroup").map(memoryGroups) ?? []
        let files = groups.flatMap { [$0 + "/memory.max", $0 + "/memory.limit_in_bytes"] }
        return files.compactMap { read($0).flatMap(Int.init) }.filter { $0 < 1 << 60 }.min()
    }

    /// The folders that say how much memory a process may use, from the lines of its `/proc/self/cgroup`: `0::/a/b` under
    /// version 2, `9:memory:/a/b` under version 1. Inside a container the path may be one that only the host knows; its
    /// root is looked at all the same.
    package static func memoryGroups(_ lines: String) -> [String] {
        lines.split(separator: "\n").flatMap { line -> [String] in
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { return [] }
            let isSecond = fields[0] == "0" && fields[1].isEmpty
            guard isSecond || fields[1].split(separator: ",").contains("memory") else { return [] }
            let root = isSecond ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory"
            let parts = fields[2].split(separator: "/")
            return (0...parts.count).map { root + parts.prefix($0).map { "/" + $0 }.joined() }
        }
    }

    private static func read(_ path: String) -> String? {
        (try? String(contentsOfFile: path, encoding: .utf8))?.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
