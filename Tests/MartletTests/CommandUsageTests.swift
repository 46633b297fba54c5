import Foundation
import Testing

@Suite struct CommandUsageTests {
    @Test(arguments: [
        ("train", ["--resume", "--overwrite", "--precision", "--threads"]),
        ("eval", ["--model", "--adapter", "--data", "--json", "--precision", "--threads"]),
        ("generate", ["--prompt-ids", "--max-tokens", "--temperature", "--seed", "--ignore-eos", "--json"]),
        ("merge", ["--output", "--dtype", "--overwrite", "--base", "--dequantized", "--requantize"]),
        ("quantize", ["--to", "--output", "--double-quantization"]), ("cache", ["list", "prune"]), ("plan", ["--json"]),
        ("tokenize", ["--text", "--decode-ids", "--no-special"]),
        ("render", ["--job", "--json"]),
        ("doctor", ["--json", "--threads"]),
    ])
    func helpNamesTheOptions(command: String, options: [String]) throws {
        let result = try Program.run([command, "--help"])
        #expect(result.status == 0)
        for option in options { #expect(result.output.contains(option)) }
        #expect(try Program.run(["--help"]).output.contains(command))
    }

    @Test(arguments: [
        ["bogus"], ["doctor", "--bogus"], ["eval", "--model", "m"], ["train"], ["train", "r.yaml", "--resume", "run"],
        ["eval", "--model", "m", "--data", "d", "--threads", "0"], ["eval", "--model", "m", "--data", "d", "--precision", "int3"],
        ["generate", "--model", "m"], ["generate", "--model", "m", "--prompt", "a", "--prompt-ids", "1"],
        ["merge", "--model", "m", "--output", "o", "--dtype", "int8"], ["tokenize", "--model", "m"],
        ["tokenize", "--model", Program.llama, "--decode-ids", "1,x"],
    ])
    func wrongCommandLineIs64(arguments: [String]) throws {
        let result = try Program.run(arguments)
        #expect(result.status == 64)
        #expect(result.output.isEmpty)
        #expect(result.errors.lowercased().hasPrefix("error: "))
    }

    @Test func doctorSaysWhatTheMachineCanDo() throws {
        let result = try Program.run(["doctor", "--json"])
        #expect(result.status == 0)
        let promised = [
            "cpu": ["model", "cores", "features"], "openblas": ["version", "core", "threads", "gflops"],
            "memory": ["total_bytes", "limit_bytes"],
        ]
        for (key, members) in promised {
            let object = try #require(result.json[key] as? [String: Any])
            for member in members { #expect(object[member] != nil, "\(key).\(member)") }
        }
        let path = try #require((result.json["paths"] as? [[String: Any]])?.first)
        #expect(Set(path.keys).isSuperset(of: ["name", "available", "gflops"]))
        #expect(result.json["warnings"] is [Any])
    }

    @Test(arguments: [">/dev/full", ">&-"])
    func outputThatCannotBeWrittenIs74(redirection: String) throws {
        let result = try Program.shell("exec \"$M\" tokenize --model \(Program.llama) --text hi --json \(redirection)")
        #expect(result.status == 74)
        #expect(result.errors.hasPrefix("error: standard output cannot be written: "))
        #expect(result.errors.split(separator: "\n").count == 1)
    }
}
