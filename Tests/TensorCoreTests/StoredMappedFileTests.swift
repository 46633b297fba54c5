import Foundation
import TensorCore
import Testing

private func withFile(_ bytes: [UInt8], _ body: (String) throws -> Void) throws {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID().uuidString)")
    try Data(bytes).write(to: url)
    defer { try? FileManager.default.removeItem(at: url) }
    try body(url.path)
}

private func failure(_ path: String) -> FileError? {
    do throws(FileError) {
        _ = try MappedFile(path: path)
        return nil
    } catch {
        return error
    }
}

@Suite struct StoredMappedFileTests {
    @Test func mapsAFileAndItsSlices() throws {
        try withFile((0..<200).map { UInt8($0) }) { path in
            let slice = MappedBytes(try MappedFile(path: path))[100..<103]
            #expect(slice.withUnsafeBytes { Array($0) } == [100, 101, 102])
            #expect(slice.file?.path == path)
            #expect(slice.file?.size == 200)
            slice.release()
            #expect(slice.withUnsafeBytes { Array($0) } == [100, 101, 102])
        }
    }

    @Test func aFileThatBecomesShorterEndsTheProcessWithItsName() async throws {
        let result = try await #require(processExitsWith: .exitCode(74), observing: [\.standardErrorContent]) {
            MappedFile.answerLostPages(exitStatus: 74)
            try withFile([UInt8](repeating: 7, count: 1 << 16)) { path in
                // Others of which one is gone already, and one is whole.
                _ = try MappedFile(path: path)
                let (whole, mapped) = (try MappedFile(path: "/proc/self/exe"), try MappedFile(path: path))
                truncate(path, 0)
                exit(mapped.bytes[1 << 15] == whole.bytes[0] ? 1 : 2)
            }
        }
        let said = String(decoding: result.standardErrorContent, as: UTF8.self)
        #expect(said.contains("/martlet-") && said.contains("the file has become shorter"), "\(said)")
    }

    /// Sums over pieces are those over the whole: eight lanes of words, each multiplied and turned, zeros behind the end.
    @Test(arguments: [0, 1, 63, 64, 65, 1 << 24, 1 << 24 + 7]) func checksums(count: Int) throws {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 7) }
        let factor: UInt64 = 0x9E37_79B9_7F4A_7C15
        func mixed(_ lane: UInt64, _ word: UInt64) -> UInt64 {
            let product = (lane ^ word) &* factor
            return product << 31 | product >> 33
        }
        var lanes = (1...8).map { factor &* UInt64($0) }
        for start in stride(from: 0, to: count, by: 8) {
            let word = (start..<min(count, start + 8)).reduce(UInt64(0)) { $0 | UInt64(bytes[$1]) << UInt64(8 * ($1 - start)) }
            lanes[start / 8 % 8] = mixed(lanes[start / 8 % 8], word)
        }
        // A stripe that has begun is filled up.
        for word in (count + 7) / 8..<(count + 63) / 64 * 8 { lanes[word % 8] = mixed(lanes[word % 8], 0) }
        let sum = lanes.reduce(UInt64(count), mixed)
        try withFile(bytes) { path in
            let mapped = MappedBytes(try MappedFile(path: path))
            #expect(mapped.checksum() == sum ^ sum >> 32 && mapped.checksum(releasing: true) == sum ^ sum >> 32)
        }
    }

    @Test func comparesPieceByPiece() throws {
        let count = 1 << 24 + 100
        let bytes = [UInt8](repeating: 7, count: count)
        try withFile(bytes) { path in
            let mapped = MappedBytes(try MappedFile(path: path))
            #expect(mapped.areSame(as: MappedBytes(copying: bytes)))
            #expect(!mapped.areSame(as: mapped[1..<count]) && mapped[0..<0].areSame(as: mapped[5..<5]))
            for place in [0, 1 << 24, count - 1] {
                var other = bytes
                other[place] = 8
                #expect(!mapped.areSame(as: MappedBytes(copying: other)))
            }
        }
    }

    /// What was mapped stays as it was when another file takes its name.
    @Test func survivesReplacement() throws {
        try withFile([1, 2, 3]) { path in
            let bytes = MappedBytes(try MappedFile(path: path))
            try Data([9, 9, 9]).write(to: URL(fileURLWithPath: path), options: .atomic)
            #expect(bytes.withUnsafeBytes { Array($0) } == [1, 2, 3])
        }
    }

    @Test func mapsAnEmptyFile() throws {
        try withFile([]) { path in
            let file = try MappedFile(path: path)
            #expect(file.size == 0)
            file.release(0..<10)
            #expect(MappedBytes(file).count == 0)
        }
    }

    @Test func refusesWhatIsNotARegularFile() {
        #expect(failure("/nowhere/x")?.kind == .missing)
        #expect(failure("/nowhere/x")?.description == "cannot open /nowhere/x: No such file or directory")
        #expect(failure("/")?.description == "cannot map /: Is a directory")
        #expect(failure("/dev/null")?.code == EINVAL)
    }
}
