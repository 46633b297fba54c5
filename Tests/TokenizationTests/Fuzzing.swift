import Foundation
import Testing
import Tokenization

/// Random damage, on request only: `MARTLET_FUZZ=json`, `tokenizer` or `template` names what is fed,
/// `MARTLET_FUZZ_SECONDS` (60) for how long, `MARTLET_FUZZ_SEED` (1) where to start. It knows what JSON and tokenizers look
/// like, which Tests/Scripts/fuzz.sh does not; that one is guided by coverage and feeds every reader.
///
/// What must hold: no crash, no input that takes long, and memory that does not grow. What was read as valid is used.
@Suite(.serialized) struct Fuzzing {
    static let environment = ProcessInfo.processInfo.environment
    static func isOn(_ name: String) -> Bool { environment["MARTLET_FUZZ"] == name }

    private struct Run {
        var random = SplitMix(state: Fuzzing.environment["MARTLET_FUZZ_SEED"].flatMap(UInt64.init) ?? 1)
        let seconds = Fuzzing.environment["MARTLET_FUZZ_SECONDS"].flatMap(Double.init) ?? 60

        /// Runs `body` until the time is over; it says whether the input was accepted.
        mutating func repeatBody(_ name: String, limit: Duration, _ body: (inout SplitMix) -> Bool) {
            let clock = ContinuousClock()
            let end = clock.now.advanced(by: .seconds(seconds))
            var (count, accepted, slowest) = (0, 0, Duration.zero)
            while clock.now < end {
                let seed = random.state
                // Where an input never ends, this names it.
                if let watch = Fuzzing.environment["MARTLET_FUZZ_WATCH"] { try? "\(seed)".write(toFile: watch, atomically: false, encoding: .utf8) }
                let time = clock.measure { if body(&random) { accepted += 1 } }
                #expect(time < limit, "\(name): the input of seed \(seed) took \(time)")
                slowest = max(slowest, time)
                count += 1
            }
            #expect(accepted > 0)
            print("fuzz \(name): \(count) inputs, \(accepted) accepted, slowest \(slowest), peak \(Fuzzing.peakMegabytes) MB")
        }
    }

    static var peakMegabytes: Int {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM") } ?? ""
        return (Int(line.filter(\.isNumber)) ?? 0) / 1024
    }

    private static func fixtures(_ folder: String, _ file: String) throws -> [[UInt8]] {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/\(folder)")
        let names = try FileManager.default.subpathsOfDirectory(atPath: root.path).filter { $0.hasSuffix(file) }.sorted()
        return try names.map { [UInt8](try Data(contentsOf: root.appending(path: $0))) }
    }

    @Test(.enabled(if: isOn("json"))) func json() throws {
        let seeds = try Self.fixtures("tokenizers", "config.json") + [
            Array(#"{"a":[1,-2.5e-3,true,false,null,"\u00e9\ud83d\ude00\n"],"b":{"c":{}},"":[[[[]]]]}"#.utf8),
            Array("[".utf8) + Array(repeating: 0x5B, count: 600), Array("\u{FEFF}[1e308,123456789012345678901]".utf8),
        ]
        var run = Run()
        run.repeatBody("json", limit: .seconds(1)) { random in
            let bytes = Mutation.mutate(seeds[random.below(seeds.count)], &random)
            guard let value = try? JSONValue(parsing: Data(bytes)) else { return false }
            let text = value.serialized(pretty: random.below(2) == 0)
            #expect((try? JSONValue(parsing: Data(text.utf8))) == value)
            return true
        }
    }

    @Test(.enabled(if: isOn("tokenizer"))) func tokenizer() throws {
        let files = try Self.fixtures("tokenizers", "tokenizer.json").filter { $0.count < 100_000 }
        let seeds = try files.map { try JSONValue(parsing: Data($0)) }
        let texts = ["", "Hello  wörld\n\n ▁x 12345 </s>", "日本e\u{301}👨‍👩‍👧 \u{0}\u{85}\u{FEFF}", String(repeating: "ab c", count: 40)]
        var run = Run()
        run.repeatBody("tokenizer", limit: .seconds(5)) { random in
            let json: JSONValue
            if random.below(3) > 0 {
                json = Mutation.mutate(seeds[random.below(seeds.count)], &random)
            } else {
                let bytes = Mutation.mutate(files[random.below(files.count)], &random)
                guard let parsed = try? JSONValue(parsing: Data(bytes)) else { return false }
                json = parsed
            }
            guard let tokenizer = try? Tokenizer(tokenizerJSON: json, configuration: nil) else { return false }
            for text in texts {
                let encoded = tokenizer.encodeWithOffsets(text)
                #expect(encoded.ids == tokenizer.encode(text))
                #expect(encoded.ranges.allSatisfy { $0.lowerBound >= 0 && $0.upperBound <= text.utf8.count })
                var stream = StreamingDecoder(tokenizer)
                let streamed = encoded.ids.map { stream.append($0) }.joined() + stream.finish()
                #expect(streamed == tokenizer.decode(encoded.ids))
            }
            return true
        }
    }

    @Test(.enabled(if: isOn("template"))) func template() throws {
        let seeds = try Self.fixtures("chat", ".jinja")
        let messages = [
            Message(role: "system", content: "Be brief."), Message(role: "user", content: "Hi <b>"),
            Message(role: "assistant", content: "Hello"), Message(role: "user", content: "Bye"),
        ]
        var run = Run()
        run.repeatBody("template", limit: .seconds(10)) { random in
            let bytes = Mutation.mutate(seeds[random.below(seeds.count)], &random)
            guard let template = try? ChatTemplate(String(decoding: bytes, as: UTF8.self)) else { return false }
            _ = try? template.render(
                messages: messages, tools: [["type": "function", "function": ["name": "f"]]],
                addGenerationPrompt: random.below(2) == 0, variables: ["bos_token": "<s>", "eos_token": "</s>"])
            return true
        }
    }
}

/// A small generator of random numbers that starts anywhere.
struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func below(_ limit: Int) -> Int { limit > 0 ? Int(next() % UInt64(limit)) : 0 }
}

/// Ways to damage a file.
enum Mutation {
    private static let words = [
        "{", "}", "[", "]", "\"", ",", ":", "null", "true", "-1", "1e999", "99999999999", "\\ud800", "{{", "}}", "{%", "%}",
        "for x in range(99999)", "endfor", "~", "|", "(", ")", "' * 99999", "loop", "\u{FEFF}", "\u{2581}", "<0x41>",
    ]

    static func mutate(_ bytes: [UInt8], _ random: inout SplitMix) -> [UInt8] {
        var output = bytes
        for _ in 0..<(1 + random.below(6)) {
            let at = random.below(output.count + 1)
            let end = min(output.count, at + random.below(1 << random.below(8)))
            switch random.below(7) {
            case 0: if at < output.count { output[at] = UInt8(truncatingIfNeeded: random.next()) }
            case 1: output.removeSubrange(at..<end)
            case 2: output.insert(contentsOf: output[at..<end], at: random.below(output.count + 1))
            case 3: output.insert(contentsOf: Array(words[random.below(words.count)].utf8), at: at)
            case 4: output.replaceSubrange(at..<end, with: Array(words[random.below(words.count)].utf8))
            case 5: output.removeSubrange(end...)
            default: if at < output.count { output[at] ^= 1 << UInt8(random.below(8)) }
            }
        }
        return output
    }

    /// Changes one value somewhere within.
    static func mutate(_ value: JSONValue, _ random: inout SplitMix) -> JSONValue {
        switch value {
        case .object(let object) where !object.members.isEmpty && random.below(12) > 0:
            var members = object.members
            let at = random.below(members.count)
            switch random.below(14) {
            case 0: members.remove(at: at)
            case 1: members[at].key += "x"
            default: members[at].value = mutate(members[at].value, &random)
            }
            return .object(JSONObject(members))
        case .array(var elements) where !elements.isEmpty && random.below(12) > 0:
            let at = random.below(elements.count)
            switch random.below(8) {
            case 0: elements.remove(at: at)
            case 1: elements.append(elements[at])
            default: elements[at] = mutate(elements[at], &random)
            }
            return .array(elements)
        case .bool(let flag): return .bool(!flag)
        case .integer(let number) where random.below(3) > 0: return .integer(number &+ random.below(5) - 2)
        case .string(let text) where random.below(3) > 0:
            return .string(String(decoding: mutate(Array(text.utf8), &random), as: UTF8.self))
        default: return replacement(&random)
        }
    }

    private static func replacement(_ random: inout SplitMix) -> JSONValue {
        let components: [JSONValue] = [
            nil, true, 0, -1, 1e300, "", "▁", " ", "Isolated", [], [:], .integer(.max), ["type": "Lowercase"],
            ["type": "NFKC"], ["type": "ByteLevel", "add_prefix_space": true, "use_regex": true],
            ["type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": true],
            ["type": "Strip", "content": " ", "start": 3, "stop": 3], ["type": "Strip", "strip_left": true, "strip_right": true],
            ["type": "Split", "pattern": ["Regex": "[a-f]+"], "behavior": "MergedWithNext", "invert": true],
            ["type": "Replace", "pattern": ["String": ""], "content": "xx"], ["type": "Prepend", "prepend": "▁▁"],
            ["type": "ByteFallback"], ["type": "Fuse"], ["type": "WordPiece", "prefix": "", "cleanup": true],
            ["type": "BPEDecoder", "suffix": ""], ["type": "Digits", "individual_digits": true], ["type": "Whitespace"],
            ["type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": nil, "lowercase": true],
            ["type": "Precompiled", "precompiled_charsmap": "BAAAAAABAABh"],
        ]
        return components[random.below(components.count)]
    }
}
