import Foundation
import Testing

/// `--overwrite` replaces what the program has written itself, and nothing else.
@Suite struct OverwriteTests {
    private func folder(_ name: String, in scratch: Scratch) throws {
        try FileManager.default.createDirectory(atPath: scratch.path(name), withIntermediateDirectories: true)
    }

    /// A folder that is named as the cache by mistake keeps what it has under the names that the cache uses.
    @Test func pruningLeavesForeignFoldersAlone() throws {
        let scratch = try Scratch()
        let seen = String(repeating: "a", count: 64)
        for name in ["sources", "data/sources"] {
            try folder(name, in: scratch)
            try scratch.write("mine", to: name + "/main.c")
            try scratch.write("noted", to: name + "/" + seen)
        }
        #expect(try Program.run(["cache", "prune", "--cache", "."], in: scratch).status == 0)
        #expect(scratch.files().filter { $0.hasSuffix(".c") || $0.hasSuffix(seen) } == ["data/sources/main.c", "sources/main.c"])
    }
}
