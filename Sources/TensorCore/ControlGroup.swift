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

    /// Bytes of memory that the process may use, or `nil` without a limit.
    public static func memoryLimit() -> Int? {
        let text = read("/sys/fs/cgroup/memory.max") ?? read("/sys/fs/cgroup/memory/memory.limit_in_bytes")
        guard let bytes = text.flatMap(Int.init), bytes < 1 << 60 else { return nil }
        return bytes
    }

    private static func read(_ path: String) -> String? {
        (try? String(contentsOfFile: path, encoding: .utf8))?.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
