import Foundation

/// Limits that a container sets on this process (cgroup v2, then v1).
public enum ControlGroup {
    /// CPUs per period that the process may use, or `nil` without a quota: the least of its group and those above it.
    public static func cpuQuota() -> Double? {
        groups(of: "cpu").compactMap { group in
            // Version 2 has quota and period in one file, "max" for no quota; version 1 in two, -1 for none.
            let words = read(group + "/cpu.max")?.split(separator: " ").map(String.init)
                ?? ["quota", "period"].compactMap { read(group + "/cpu.cfs_\($0)_us") }
            let numbers = words.compactMap(Double.init)
            return numbers.count == 2 && numbers.allSatisfy { $0 > 0 } ? numbers[0] / numbers[1] : nil
        }.min()
    }

    /// Bytes of memory that the process may use, or `nil` without a limit: the least of its group and those above it.
    public static func memoryLimit() -> Int? {
        let files = groups(of: "memory").flatMap { [$0 + "/memory.max", $0 + "/memory.limit_in_bytes"] }
        return files.compactMap { read($0).flatMap(Int.init) }.filter { $0 < 1 << 60 }.min()
    }

    private static func groups(of controller: String) -> [String] {
        read("/proc/self/cgroup").map { groups(of: controller, $0) } ?? []
    }

    /// The folders that say what a process may use of a controller (`cpu`, `memory`), from the lines of its
    /// `/proc/self/cgroup`: `0::/a/b` under version 2, `9:memory:/a/b` under version 1. Inside a container the path may be one
    /// that only the host knows; its root is looked at all the same.
    package static func groups(of controller: String, _ lines: String) -> [String] {
        lines.split(separator: "\n").flatMap { line -> [String] in
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { return [] }
            let isSecond = fields[0] == "0" && fields[1].isEmpty
            guard isSecond || fields[1].split(separator: ",").contains(controller[...]) else { return [] }
            let root = isSecond ? "/sys/fs/cgroup" : "/sys/fs/cgroup/" + controller
            let parts = fields[2].split(separator: "/")
            return (0...parts.count).map { root + parts.prefix($0).map { "/" + $0 }.joined() }
        }
    }

    private static func read(_ path: String) -> String? {
        (try? String(contentsOfFile: path, encoding: .utf8))?.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
