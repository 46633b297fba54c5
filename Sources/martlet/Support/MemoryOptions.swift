import ArgumentParser
import TensorCore

/// How much memory a run may use.
struct MemoryOptions: ParsableArguments {
    @Option(parsing: .unconditional, help: ArgumentHelp(
        """
        Memory that the run may use, such as 8GB or 6GiB; left out, what the machine or its cgroup allows. Blocks are \
        computed again and micro-batches cut as it asks for.
        """,
        valueName: "size"))
    var memory: MemorySize?

    /// Bytes; `nil` if nobody knows.
    var limit: Int? { memory?.bytes ?? ProcessMemory.limit }
}

/// A number of bytes as people write it: `8GB`, `512 MiB`, `1.5g`.
struct MemorySize: ExpressibleByArgument {
    let bytes: Int

    init?(argument: String) {
        let text = argument.lowercased().filter { $0 != " " }
        let digits = text.prefix { $0.isNumber || $0 == "." }
        let units = [
            "": 1.0, "b": 1, "k": 1e3, "kb": 1e3, "kib": 1024, "m": 1e6, "mb": 1e6, "mib": 1_048_576, "g": 1e9, "gb": 1e9,
            "gib": 1_073_741_824, "t": 1e12, "tb": 1e12, "tib": 1_099_511_627_776,
        ]
        guard let number = Double(digits), let unit = units[String(text.dropFirst(digits.count))],
            number * unit >= 1, number * unit < 1e18
        else { return nil }
        bytes = Int(number * unit)
    }
}
