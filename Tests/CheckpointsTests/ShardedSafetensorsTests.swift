import Checkpoints
import Foundation
import TensorCore
import Testing

private let index = "model.safetensors.index.json"

/// A folder with two shards of one number each (a = 1, b = 2) and the given weight map.
private func withShards(_ weightMap: String, _ body: (URL) throws -> Void) throws {
    try withFolder { folder in
        for (name, value) in [("a", Float(1)), ("b", 2)] {
            let tensor = TensorDeclaration(name: name, shape: [1], type: .float32)
            try SafetensorsWriter.write(to: folder.appendingPathComponent("\(name).safetensors"), tensors: [tensor]) {
                try $0.append([value], to: name)
            }
        }
        let json = #"{"metadata":{"total_size":8,"x":[{}]},"weight_map":\#(weightMap)}"#
        try Data(json.utf8).write(to: folder.appendingPathComponent(index))
        try body(folder)
    }
}

private func problem(_ weightMap: String) throws -> ShardProblem? {
    var found: ShardProblem?
    try withShards(weightMap) { folder in
        if case .shards(_, let problem) = checkpointError({ _ = try ShardedSafetensors(folder: folder) }) {
            found = problem
        }
    }
    return found
}

@Suite struct ShardedSafetensorsTests {
    @Test func readsShardsThroughTheIndex() throws {
        try withShards(#"{"a":"a.safetensors","b":"b.safetensors"}"#) { folder in
            let source = try ShardedSafetensors(folder: folder)
            #expect(source.names == ["a", "b"])
            #expect(source.files.count == 2)
            #expect(try source.tensor("a").expandAll() == [1])
            #expect(try source.tensor("b").expandAll() == [2])
            #expect(try source.entry("b").type == .float32)
            #expect(!source.contains("c"))
            #expect(checkpointError { _ = try source.tensor("c") } == .noTensor(path: folder.path, name: "c"))
        }
    }

    @Test func prefersTheSingleFile() throws {
        try withFolder { folder in
            try FileManager.default.copyItem(
                at: fixture("llama.safetensors"), to: folder.appendingPathComponent("model.safetensors"))
            try Data("nonsense".utf8).write(to: folder.appendingPathComponent(index))
            let source = try ShardedSafetensors(folder: folder)
            #expect(source.files.count == 1)
            #expect(source.contains("model.norm.weight"))
        }
    }

    @Test func refusesFoldersWithoutWeights() throws {
        try withFolder { folder in
            #expect(
                checkpointError { _ = try ShardedSafetensors(folder: folder) }
                    == .shards(path: folder.path, .noCheckpoint))
            let missing = folder.appendingPathComponent("nowhere")
            #expect(checkpointError { _ = try ShardedSafetensors(folder: missing) }?.fileError?.kind == .missing)
        }
    }

    @Test func refusesAMissingShard() throws {
        #expect(try problem(#"{"a":"a.safetensors","b":"c.safetensors"}"#) == .missingShard("c.safetensors"))
    }

    @Test func refusesATensorThatItsShardLacks() throws {
        #expect(
            try problem(#"{"a":"a.safetensors","b":"a.safetensors"}"#)
                == .missingTensor(name: "b", shard: "a.safetensors"))
    }

    @Test(arguments: ["../a.safetensors", "/a.safetensors", "x/a.safetensors", "..", ".", "", "a\\u0000"])
    func refusesPathsThatLeadElsewhere(name: String) throws {
        guard case .unsafeShardName = try problem(#"{"a":"\#(name)"}"#) else {
            Issue.record("accepted \(name)")
            return
        }
    }

    @Test func refusesABrokenIndex() throws {
        #expect(try problem(#"{"a":"a.safetensors","a":"b.safetensors"}"#) == .duplicateName("a"))
        #expect(try problem(#"{},"weight_map":{}"#) == .noWeightMap)
        guard case .badIndex(_, .expected("an object")) = try problem(#"["a"]"#) else {
            Issue.record("a weight map that is an array was accepted")
            return
        }
    }
}
