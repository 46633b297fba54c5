import Foundation
import Testing

/// The disk fails at every point of a run: what was saved before is whole, the program says so in one sentence and ends
/// with the right code, and resuming ends with the bytes of a run that nothing disturbed.
@Suite struct FaultTests {
    /// The layer under the program that makes calls fail, built from Fixtures/faults; `nil` without a C compiler or
    /// with a sanitizer.
    private static let layer: (scratch: Scratch, path: String)? = {
        // A sanitizer's own layer must be the first.
        guard Program.sanitizer == nil, let scratch = try? Scratch() else { return nil }
        let source = Program.fixtures.deletingLastPathComponent().appendingPathComponent("faults/faults.c").path
        let line = "for c in cc clang gcc; do command -v $c >/dev/null && $c -shared -fPIC -O1 -o faults.so \(source) -ldl && exit; done; exit 1"
        guard let result = try? Program.shell(line, in: scratch), result.status == 0 else { return nil }
        return (scratch, scratch.path("faults.so"))
    }()
    static var hasLayer: Bool { layer != nil }
    static let canMount = (try? Program.shell("unshare -m sh -c 'mount -t tmpfs -o size=1m tmpfs .'").status) == 0

    /// Three layers, one adapted module in each and few steps, so that a run makes about a hundred calls.
    private func prepare() throws -> (scratch: Scratch, adapter: Data) {
        let scratch = try Scratch()
        try scratch.writeRecipe([
            "  rank: 2": "  rank: 2\n  target_modules: [q_proj]", "steps: 3": "steps: 4",
            "output:": "checkpoint:\n  every_steps: 2\n  keep: 2\noutput:",
        ])
        #expect(try Program.run(["train", "recipe.yaml", "output.directory=whole"], in: scratch).status == 0)
        return (scratch, try scratch.data("whole/adapter/adapter_model.safetensors"))
    }

    /// Trains into `run` below `scratch`; the calls from `first` to `last` fail.
    private func train(_ scratch: Scratch, _ run: String, first: Int, last: Int, code: Int32) throws -> Program.Result {
        let settings = [
            "LD_PRELOAD": Self.layer?.path ?? "", "MARTLET_FAULT_FOLDER": scratch.path("") + "/" , "MARTLET_FAULT_AT": "\(first)",
            "MARTLET_FAULT_LAST": "\(last)", "MARTLET_FAULT_ERRNO": "\(code)", "MARTLET_FAULT_LOG": scratch.path("log"),
        ].map { "\($0)='\($1)'" }.joined(separator: " ")
        return try Program.shell("env \(settings) \"$M\" train recipe.yaml output.directory=\(run)", in: scratch)
    }

    /// The numbers of the calls of a run, of a long row of the same ones only the first, one within and the last.
    private func points(_ scratch: Scratch) throws -> [Int] {
        #expect(try train(scratch, "counted", first: 0, last: 0, code: 0).status == 0)
        let lines = try scratch.read("log").split(separator: "\n").map { $0.split(separator: " ", maxSplits: 1)[1] }
        return lines.indices.filter { at in
            let isInside = at > 0 && at + 1 < lines.count && lines[at - 1] == lines[at] && lines[at + 1] == lines[at]
            return !isInside || at % 64 == 0
        }.map { $0 + 1 }
    }

    private func checkFailed(_ result: Program.Result, _ context: String) {
        #expect([69, 73, 74].contains(result.status) && !result.wasKilled, "\(context): \(result.status) \(result.errors)")
        let sentences = result.errors.split(separator: "\n").filter { $0.hasPrefix("error: ") }
        #expect(sentences.count == 1 && (sentences.first?.count ?? 0) > 30, "\(context): \(result.errors)")
        #expect(!result.errors.contains("CocoaError") && !result.errors.contains("Error Domain"), "\(context): \(result.errors)")
    }

    /// What is there is whole: the link `latest` leads to a checkpoint, and going on gives the same bytes.
    private func checkRecovery(_ scratch: Scratch, _ run: String, _ adapter: Data, _ context: String) throws {
        let checkpoints = scratch.files().filter { $0.hasPrefix("\(run)/checkpoints/step-") && $0.hasSuffix("/state.json") }
        let link = scratch.path("\(run)/checkpoints/latest")
        if (try? FileManager.default.destinationOfSymbolicLink(atPath: link)) != nil {
            #expect(FileManager.default.fileExists(atPath: link + "/state.json"), "\(context): latest leads nowhere")
            #expect(!checkpoints.isEmpty, "\(context)")
        }
        let isRun = scratch.exists("\(run)/resolved.yaml")
        let again = try Program.run(
            isRun ? ["train", "--resume", run] : ["train", "recipe.yaml", "output.directory=\(run)"], in: scratch)
        #expect(again.status == 0, "\(context): \(again.errors)")
        #expect(!again.errors.contains("damaged"), "\(context): \(again.errors)")
        #expect(try scratch.data("\(run)/adapter/adapter_model.safetensors") == adapter, "\(context): other bytes")
        let rest = scratch.files().filter { $0.contains(".tmp-") || $0.contains(".old-") }
        #expect(rest.isEmpty, "\(context): \(rest)")
        try scratch.remove(run)
    }

    @Test(.enabled(if: hasLayer)) func everyCallMayFailOnce() throws {
        let (scratch, adapter) = try prepare()
        let points = try points(scratch)
        #expect(points.count > 60)
        var failures = 0
        for (at, point) in points.enumerated() {
            let code = [ENOSPC, EIO, EROFS][at % 3]
            let result = try train(scratch, "run", first: point, last: point, code: code)
            let context = "call \(point) fails with \(code)"
            if result.status == 0 {
                // Some calls have a substitute, or nothing depends on them.
                #expect(try scratch.data("run/adapter/adapter_model.safetensors") == adapter, "\(context)")
            } else {
                failures += 1
                checkFailed(result, context)
            }
            try checkRecovery(scratch, "run", adapter, context)
        }
        #expect(failures > points.count * 3 / 4, "\(failures) of \(points.count)")
    }

    @Test(.enabled(if: hasLayer)) func theDiskMayStayFull() throws {
        let (scratch, adapter) = try prepare()
        for (at, point) in try points(scratch).enumerated() where at % 8 == 1 {
            let context = "from call \(point) on the disk is full"
            let result = try train(scratch, "run", first: point, last: 1_000_000, code: ENOSPC)
            checkFailed(result, context)
            try checkRecovery(scratch, "run", adapter, context)
        }
    }

    /// A file system of its own in memory, seen by the processes of one shell only.
    private func onSmallDisk(_ options: String, _ commands: String, in scratch: Scratch) throws -> Program.Result {
        try Program.shell("mkdir -p disk && unshare -m bash -c 'mount -t tmpfs -o \(options) tmpfs disk\n\(commands)'", in: scratch)
    }

    @Test(.enabled(if: canMount), arguments: [8, 40, 64, 100, 150]) func aSmallDiskFillsUp(kilobytes: Int) throws {
        let (scratch, adapter) = try prepare()
        let result = try onSmallDisk(
            "size=\(kilobytes)k",
            """
            "$M" train recipe.yaml output.directory=disk/run >/dev/null; status=$?
            mount -o remount,size=64m disk
            if [ -e disk/run/resolved.yaml ]; then set -- --resume disk/run; else set -- recipe.yaml output.directory=disk/run; fi
            "$M" train "$@" >/dev/null 2>&1 && cp disk/run/adapter/adapter_model.safetensors after && exit $status
            exit 99
            """, in: scratch)
        if result.status != 0 { checkFailed(result, "\(kilobytes) KB") }
        #expect(result.status != 0 || kilobytes > 64, "\(kilobytes) KB are enough")
        #expect(try scratch.data("after") == adapter)
    }

    @Test(.enabled(if: canMount)) func aReadOnlyDiskIsRefused() throws {
        let (scratch, _) = try prepare()
        let fresh = try onSmallDisk("ro", "exec \"$M\" train recipe.yaml output.directory=disk/run", in: scratch)
        checkFailed(fresh, "a new run")
        let later = try onSmallDisk(
            "size=8m",
            """
            "$M" train recipe.yaml output.directory=disk/run >/dev/null 2>&1 || exit 98
            rm -r disk/run/adapter disk/run/checkpoints/step-000004
            mount -o remount,ro disk
            exec "$M" train --resume disk/run
            """, in: scratch)
        checkFailed(later, "a run that is resumed")
    }
}
