import Checkpoints
import Foundation
import TensorCore
import Testing

private let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

@Suite struct FileDigestTests {
    @Test func agreesWithTheStandard() throws {
        #expect(FileDigest.sha256(of: Data("abc".utf8)).hex == abc)
        try withFolder { folder in
            let url = folder.appendingPathComponent("f")
            try Data("abc".utf8).write(to: url)
            #expect(try FileDigest.sha256(of: url).hex == abc)
            let large = Data((0..<3_000_001).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) })
            try large.write(to: url)
            #expect(try FileDigest.sha256(of: url) == FileDigest.sha256(of: large))
        }
    }

    @Test func readsItsTextForm() throws {
        let digest = try #require(FileDigest(hex: abc.uppercased()))
        #expect(digest.hex == abc)
        #expect(FileDigest(hex: String(abc.dropLast())) == nil)
        #expect(FileDigest(hex: "g" + abc.dropFirst()) == nil)
        let json = try JSONEncoder().encode([digest])
        #expect(try JSONDecoder().decode([FileDigest].self, from: json) == [digest])
        #expect(throws: DecodingError.self) { try JSONDecoder().decode([FileDigest].self, from: Data(#"["ab"]"#.utf8)) }
    }

    /// A sparse file of 1 GiB: the documented pieces are seen, what lies between them is not.
    @Test func fingerprintSeesExactlyTheDocumentedPieces() throws {
        try withFolder { folder in
            let url = folder.appendingPathComponent("f")
            try Data().write(to: url)
            let handle = try FileHandle(forUpdating: url)
            let size = 1 << 30
            try handle.truncate(atOffset: UInt64(size))
            let original = try FileDigest.fingerprint(of: url)
            func changed(at offset: Int) throws -> Bool {
                func write(_ byte: UInt8) throws {
                    try handle.seek(toOffset: UInt64(offset))
                    try handle.write(contentsOf: Data([byte]))
                }
                try write(1)
                defer { try? write(0) }
                return try FileDigest.fingerprint(of: url) != original
            }
            let piece = (size - 65536) * 100 / 255
            #expect(try changed(at: 0))
            #expect(try changed(at: (1 << 20) - 1))
            #expect(try !changed(at: 1 << 20))
            #expect(try changed(at: piece))
            #expect(try changed(at: piece + 65535))
            #expect(try !changed(at: piece - 1))
            #expect(try !changed(at: piece + 65536))
            #expect(try changed(at: size - 1))
            try handle.truncate(atOffset: UInt64(size + 1))
            #expect(try FileDigest.fingerprint(of: url) != original)
        }
    }

    @Test func fingerprintOfASmallFileSeesEverything() throws {
        try withFolder { folder in
            let url = folder.appendingPathComponent("f")
            var data = Data(count: 17 << 20)
            try data.write(to: url)
            let original = try FileDigest.fingerprint(of: url)
            data[9_999_999] = 1
            try data.write(to: url)
            #expect(try FileDigest.fingerprint(of: url) != original)
        }
    }

    @Test func namesAMissingFile() {
        let error = checkpointError { _ = try FileDigest.sha256(of: URL(fileURLWithPath: "/nowhere/x")) }
        #expect(error?.fileError?.kind == .missing)
        #expect(error?.path == "/nowhere/x")
    }
}
