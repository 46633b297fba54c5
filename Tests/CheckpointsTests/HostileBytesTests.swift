import Checkpoints
import Foundation
import TensorCore
import Testing

/// Damaged files must be refused or read, never crash. After a successful opening everything is touched.
@Suite struct HostileBytesTests {
    private func touchSafetensors(_ bytes: [UInt8]) -> Bool {
        guard let file = try? SafetensorsFile(bytes: MappedBytes(copying: bytes), path: "t") else { return false }
        for name in file.names {
            if let tensor = try? file.tensor(name) { _ = tensor.expandAll() }
            if let entry = try? file.entry(name) { _ = entry.integers() }
        }
        return true
    }

    private func touchGGUF(_ bytes: ArraySlice<UInt8>) -> Bool {
        guard let file = try? GGUFFile(bytes: MappedBytes(copying: bytes), path: "t") else { return false }
        for name in file.names {
            if let tensor = try? file.tensor(name) { _ = tensor.expandAll() }
            if let tensor = try? file.tensor(name, rowOrder: .interleavedHalves(headSize: 2)) { _ = tensor.expandAll() }
        }
        return true
    }

    private var smallSafetensors: [UInt8] {
        let json = #"""
            {"__metadata__":{"format":"pt","x":"\u00e9"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},
            "b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]},"c":{"dtype":"I64","shape":[],"data_offsets":[32,40]}}
            """#
        return little(UInt64(json.utf8.count)) + json.utf8 + (0..<40).map { UInt8($0) }
    }

    @Test func safetensorsCutAnywhereAreRefused() {
        let whole = smallSafetensors
        #expect(touchSafetensors(whole))
        for length in 0..<whole.count { #expect(!touchSafetensors(Array(whole[..<length])), "cut at \(length)") }
    }

    @Test func damagedSafetensorsDoNotCrash() {
        let whole = smallSafetensors
        var random = SplitMix(state: 1)
        var refused = 0
        for _ in 0..<20_000 {
            var bytes = whole
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            if !touchSafetensors(bytes) { refused += 1 }
        }
        #expect(refused > 10_000)
    }

    @Test func ggufCutAnywhereIsRefused() throws {
        let whole = Array(try Data(contentsOf: fixture("tiny.gguf")))
        #expect(touchGGUF(whole[...]))
        // The file ends with four bytes of padding: without them it is still complete.
        for length in 0..<whole.count - 4 where touchGGUF(whole[..<length]) {
            Issue.record("accepted, cut at \(length)")
        }
    }

    @Test(arguments: [("tiny.gguf", 1_248, 6_000), ("llama-mixed.gguf", 12_000, 2_000)])
    func damagedGGUFDoesNotCrash(name: String, header: Int, rounds: Int) throws {
        let whole = Array(try Data(contentsOf: fixture(name)))
        var random = SplitMix(state: 2)
        var refused = 0
        for round in 0..<rounds {
            var bytes = whole
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                let end = round % 4 == 0 ? bytes.count : header
                bytes[Int.random(in: 0..<end, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            if !touchGGUF(bytes[...]) { refused += 1 }
        }
        #expect(refused > rounds / 20)
        #expect(refused < rounds)
    }
}
