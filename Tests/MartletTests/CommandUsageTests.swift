import Foundation
import TensorCore
import Testing

@Suite struct CommandUsageTests {
    @Test(arguments: [
        ("train", ["--resume", "--overwrite", "--allow-change", "--memory", "--precision", "--threads"]),
        ("eval", ["--model", "--adapter", "--data", "--json", "--precision", "--threads"]),
        ("generate", ["--prompt-ids", "--max-tokens", "--temperature", "--seed", "--ignore-eos", "--json"]),
        ("merge", ["--output", "--dtype", "--overwrite", "--base", "--dequantized", "--requantize"]),
        ("quantize", ["--to", "--output", "--double-quantization"]), ("cache", ["list", "prune"]), ("plan", ["--json", "--memory"]),
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
        ["bogus"], ["doctor", "--bogus"], ["eval", "--model", "m"], ["train"], ["train", "--resume", "run", "--overwrite"],
        ["train", "r.yaml", "--allow-change", "data"], ["train", "--resume", "run", "--allow-change", "bogus"],
        ["eval", "--model", "m", "--data", "d", "--threads", "0"],
        ["eval", "--model", "m", "--data", "d", "--precision", "int3"],
        ["generate", "--model", "m"], ["generate", "--model", "m", "--prompt", "a", "--prompt-ids", "1"],
        ["merge", "--model", "m", "--output", "o", "--dtype", "int8"], ["tokenize", "--model", "m"],
        ["tokenize", "--model", Program.llama, "--decode-ids", "1,x"],
    ])
    func wrongCommandLineIs64(arguments: [String]) throws {
        let result = try Program.run(arguments)
        #expect(result.status == 64)
        #expect(result.output.isEmpty)
        #expect(result.errors.hasPrefix("error: "))
        let asJSON = try Program.run(arguments + ["--json"])
        #expect(asJSON.status == 64 && asJSON.output.isEmpty)
        #expect(!asJSON.message.isEmpty, "\(asJSON.errors)")
    }

    @Test func aMisspeltCommandIsRecognised() throws {
        #expect(try Program.run(["trian", "r.yaml"]).errors == "error: there is no command trian; did you mean train?\n")
        #expect(try Program.run(["fly"]).errors == "error: there is no command fly; martlet --help lists the commands\n")
    }

    @Test(arguments: [
        (["generate", "--model", "m", "--prompt", "a", "--temperature", "-1"], "--temperature is -1, expected 0 or more"),
        (["generate", "--model", "m", "--prompt", "a", "--top-p", "-0.5"], "--top-p is -0.5, expected a number above 0"),
        (["generate", "--model", "m", "--prompt", "a", "--max-tokens", "-1"], "--max-tokens is -1, expected"),
        (["generate", "--model", "m", "--prompt", "a", "--raw", "--system", "b"], "--raw goes without the chat template, which --system needs"),
        (["generate", "--model", "m", "--chat", "--raw"], "--raw goes without the chat template, which --chat needs"),
        (["generate", "--model", "m", "--prompt-ids", "1", "--system", "b"], "--prompt-ids is given to the model as it is"),
        (["generate", "--model", "m", "--prompt-ids", "1", "--raw"], "--prompt-ids is given to the model as it is"),
        (["preview", "r.yaml", "--examples", "-1"], "--examples is -1, expected 0 or more"),
        (["preview", "r.yaml", "--records", "-1"], "--records is -1, expected 1 or more"),
        (["doctor", "--threads", "-1"], "--threads is -1, expected a number from 1 to 1024"),
        (["doctor", "--threads", "1025"], "--threads is 1025, expected a number from 1 to 1024"),
        (["bench", "--model", "m", "--seq", "-1"], "--seq is -1, expected a number above 0"),
        (["cache", "prune", "--older-than-days", "-1"], "--older-than-days is -1, expected 0 or more"),
        (["plan", "r.yaml", "--memory", "-8GB"], "The value '-8GB' is invalid for '--memory <size>'"),
    ])
    func numbersOutOfRangeAreNamed(arguments: [String], message: String) throws {
        let result = try Program.run(arguments)
        #expect(result.status == 64 && result.errors.hasPrefix("error: " + message), "\(result.errors)")
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
        let paths = try #require(result.json["paths"] as? [[String: Any]])
        #expect(paths.allSatisfy { Set($0.keys).isSuperset(of: ["name", "available", "gflops"]) })
        #expect(paths.map { $0["name"] as? String } == ["openblas-float32", "vectors-float32", "vectors-float16", "vectors-bfloat16", "amx-bfloat16"])
        let isWide = !["portable", "avx2"].contains(result.json["kernels"] as? String)
        #expect(paths[1]["available"] as? Bool == isWide && (paths[1]["gflops"] is Double) == isWide)
        let hasFloat16 = paths[2]["available"] as? Bool
        #expect(hasFloat16 == (paths[2]["gflops"] is Double))
        if result.json["kernels"] as? String == "avx512-fp16" { #expect(hasFloat16 == true) }
        let hasBfloat16 = paths[3]["available"] as? Bool
        #expect(hasBfloat16 == (paths[3]["gflops"] is Double))
        if hasBfloat16 == true { #expect(result.json["kernels"] as? String == "avx512-bf16") }
        // Either AMX is measured, or there is a reason why not, and forcing it is refused with that reason.
        let forced = try Program.run(["doctor", "--json", "--isa", "amx"])
        if paths[4]["available"] as? Bool == true {
            #expect(paths[4]["gflops"] as? Double ?? 0 > 0 && forced.status == 0)
        } else {
            let reason = try #require(paths[4]["reason"] as? String)
            #expect(forced.status == 69 && forced.message.contains(reason), "\(forced.errors)")
        }
        #expect(result.json["warnings"] is [Any])
    }

    @Test func benchReadsTokens() throws {
        let scratch = try Scratch()
        func bench(_ ids: [Int32], _ rest: String...) throws -> Program.Result {
            try scratch.write(ids.withUnsafeBytes { Data($0) }, to: "ids")
            return try Program.run(
                [
                    "bench", "--model", Program.llama, "--tokens-file", scratch.path("ids"), "--seq", "8", "--batch",
                    "2", "--steps",
                    "1", "--warmup", "0", "--threads", "1", "--json",
                ] + rest)
        }
        for rest in [["--precision", "float32"], ["--isa", "amx-emulated"]] {
            let result = try Program.run(
                [
                    "bench", "--model", Program.llama, "--seq", "8", "--batch", "2", "--steps", "1", "--warmup", "0",
                    "--json",
                ] + rest)
            let settings = try #require(result.json["settings"] as? [String: Any])
            #expect(settings["precision"] as? String == (rest[0] == "--isa" ? "bfloat16" : "float32"))
            #expect(result.json["matmul_gflops"] as? Double ?? 0 > 0)
        }
        #expect(try bench([1, 2, 3, 4, 5], "--precision", "float32").status == 0)
        let everywhere = try bench([1, 2, 3]), few = try bench([1, 2, 3], "--target-modules", "q_proj,v_proj")
        let rate = { (result: Program.Result) in
            try #require(result.json["useful_gflops"] as? Double) * #require(result.json["step_seconds"] as? Double)
        }
        #expect(try rate(few) < rate(everywhere))
        let unknown = try bench([1, 2, 3], "--target-modules", "q_prog")
        #expect(unknown.status != 0 && unknown.message.contains("q_prog"), "\(unknown.errors)")
        let outside = try bench([1, 2, 1 << 20])
        #expect(outside.status == 65 && outside.message.contains("token 2 of"))
        #expect(try bench([]).status == 65)
    }

    @Test(arguments: ["1,,2", ",1", "1,2,", "1, ,2"])
    func aCommaWithoutAnIDIsNoList(_ ids: String) throws {
        let result = try Program.run(["tokenize", "--model", Program.llama, "--decode-ids", ids])
        #expect(result.status == 64 && result.errors.hasPrefix("error: --decode-ids has a comma without an id beside it"), "\(result.errors)")
        #expect(try Program.run(["tokenize", "--model", Program.llama, "--decode-ids", "1, 2 3"]).status == 0)
    }

    @Test func moreThreadsThanProcessorsAreNoted() throws {
        let scratch = try Scratch()
        try scratch.writeRecipe()
        let processors = Compute.availableProcessors()
        func notes(_ arguments: [String]) throws -> [Substring] {
            let result = try Program.run(arguments, in: scratch)
            #expect(result.status == 0, "\(result.errors)")
            return result.errors.split(separator: "\n").filter { $0.hasPrefix("note: ") && $0.contains("threads") }
        }
        let ids = ["generate", "--model", Program.llama, "--prompt-ids", "1,2", "--max-tokens", "1", "--json", "--threads"]
        #expect(try notes(ids + ["\(processors)"]).isEmpty)
        #expect(try notes(ids + ["\(processors + 1)"]).map(String.init) == [
            "note: --threads is \(processors + 1), but this process may use only \(processors == 1 ? "1 processor" : "\(processors) processors"): threads that share one slow each other down"
        ])
        #expect(try notes(["plan", "recipe.yaml", "training.threads=\(processors + 1)"]).first?.hasPrefix("note: training.threads is ") == true)
        #expect(try notes(["plan", "recipe.yaml", "training.threads=\(processors + 1)", "--threads", "1"]).isEmpty)
    }

    @Test(arguments: [">/dev/full", ">&-"])
    func outputThatCannotBeWrittenIs74(redirection: String) throws {
        let result = try Program.shell("exec \"$M\" tokenize --model \(Program.llama) --text hi --json \(redirection)")
        #expect(result.status == 74)
        #expect(result.errors.hasPrefix("error: standard output cannot be written: "))
        #expect(result.errors.split(separator: "\n").count == 1)
    }
}
