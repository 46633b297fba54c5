import Autograd
import Checkpoints
import Foundation
import Layers
import Models
import Recipes
import TensorCore
import Testing

/// A pass holds few blocks of a mapped model, and the plan counts what it holds.
@Suite struct MappedWeightTests {
    private let compute: Compute

    init() throws { compute = try Compute(threadCount: 2) }

    /// The tiny Llama with feed-forward parts of 1.6 MB a matrix, so that blocks are many pages.
    private func withWideModel<Result>(_ body: (URL) throws -> Result) throws -> Result {
        try withModelCopy { folder in
            let file = folder.appendingPathComponent("model.safetensors"), width = 12_800
            let narrow = try ShardedSafetensors(folder: tinyModels.appendingPathComponent("llama"))
            let tensors = try narrow.names.map { try narrow.tensor($0) }
            let declarations = tensors.map { tensor in
                TensorDeclaration(name: tensor.name, shape: tensor.shape.map { $0 == 80 ? width : $0 }, type: .bfloat16)
            }
            try SafetensorsWriter.write(to: file, tensors: declarations) { writer in
                for (tensor, wide) in zip(tensors, declarations) {
                    let values = tensor.expandAll()
                    let count = wide.shape.reduce(1, *)
                    try writer.append((0..<count).map { values[$0 % values.count] * (count > values.count ? 0.01 : 1) }, to: wide.name)
                }
            }
            try change(folder.appendingPathComponent("config.json")) { $0["intermediate_size"] = width }
            return try body(folder)
        }
    }

    /// Bytes of a mapped file in the memory of this process.
    private func resident(_ file: URL) throws -> Int {
        // Read to its end: the file says that it is empty.
        let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: "/proc/self/smaps"))
        let lines = String(decoding: try handle.readToEnd() ?? Data(), as: UTF8.self).split(separator: "\n")
        var (isFile, kilobytes) = (false, 0)
        for line in lines {
            if line.contains("-"), line.contains(" r") { isFile = line.hasSuffix(file.path) }
            if isFile, line.hasPrefix("Rss:") { kilobytes += Int(line.split(separator: " ")[1]) ?? 0 }
        }
        return kilobytes << 10
    }

    @Test(arguments: [false, true]) func passesHoldFewBlocks(recompute: Bool) throws {
        try withWideModel { folder in
            let file = folder.appendingPathComponent("model.safetensors").resolvingSymlinksInPath()
            let model = try BaseModel.open(folder.path).makeModel(on: compute)
            let blocks = model.blockWeights.map { MappedWeights($0).byteCount }
            let block = try #require(blocks.max())
            #expect(blocks.allSatisfy { $0 == block } && block > 3 * 1_600_000)
            _ = try LoRAAdapter(
                attaching: AdapterConfiguration(rank: 2, targets: .group(.allLinear)), to: model.adapterTargets, seed: 1,
                on: compute)
            let ids = (0..<64).map { Int32($0 * 3) }, layout = SequenceLayout(offsets: [0, 64])
            let graph = Graph(compute: compute, gradients: Gradients())
            let hidden = model.hiddenStates(ids, layout: layout, cache: nil, recompute: recompute, in: graph)
            // The last block stays for the way back; what its neighbours share large pages with may stay, too.
            #expect(try (block / 2..<block * 8 / 5).contains(resident(file)))
            graph.backward(from: model.loss(hidden, targets: ids, in: graph).loss)
            #expect(try resident(file) < block * 8 / 5)
            _ = model.hiddenStates(ids, layout: layout, cache: nil, recompute: false, in: Graph(compute: compute))
            #expect(try resident(file) < block * 3 / 5)
            // Generation reads all blocks for every token, so they stay.
            _ = model.nextTokenLogits(ids, layout: layout, cache: KeyValueCache(), on: compute)
            #expect(try resident(file) > block * 5 / 2)
        }
    }

    @Test func theLargestBlockAndTheHeadArePlanned() throws {
        try withWideModel { folder in
            let base = try BaseModel.open(folder.path)
            let shape = NetworkShape(try base.makeModel(on: compute), elementBytes: 4)
            let matrices = try base.tensors.names.map { try base.tensors.tensor($0) }.filter { $0.shape.count > 1 }
            let (block, head) = (2 * (3 * 64 * 12_800 + 2 * 64 * 64 + 2 * 32 * 64), 2 * 288 * 64)
            #expect(shape.mappedWeightBytes == matrices.reduce(0) { $0 + $1.byteCount })
            #expect(shape.heldMappedBytes == block + head && shape.heapWeightBytes == 0)
            // Packed in memory, because there is a file where the cache should be, nothing can leave it.
            let cache = PackedCache(folder.appendingPathComponent("config.json"))
            let packed = NetworkShape(
                try BaseModel.open(folder.path, packing: Packing(), cache: cache, on: compute).makeModel(on: compute), elementBytes: 4)
            #expect(packed.heapWeightBytes > packed.weightBytes * 9 / 10 && packed.heldMappedBytes < packed.weightBytes / 10)
        }
    }
}
