import Autograd
import Checkpoints
import Foundation
import Layers
import Models
import Recipes
import TensorCore
import Testing
import Training

/// Runs on mixtures of experts: what is trained, what is said, what is logged.
@Suite struct ExpertRunTests {
    let compute: Compute

    init() throws { compute = try Compute(threadCount: 2) }

    private func prepare(_ model: String, _ more: String = "") throws -> (PreparedRun, URL) {
        let root = FileManager.default.temporaryDirectory.appendingPathComponent("expert-run-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
        let data = root.appendingPathComponent("data.jsonl")
        let lines = (0..<8).map { row in
            let ids = (0..<20).map { String(($0 * 7 + row * 13) % 280) }
            return "{\"input_ids\": [" + ids.joined(separator: ", ") + "]}\n"
        }
        try Data(lines.joined().utf8).write(to: data)
        let text = """
            model:
              path: \(tinyModels.appendingPathComponent(model).path)
            data:
              train:
                - path: \(data.path)
                  format: tokens
            output:
              directory: \(root.appendingPathComponent("run").path)

            """
        let recipe = try Recipe(yaml: text + more, file: "r.yaml")
        return (try PreparedRun(recipe, on: compute), root)
    }

    private func table(_ model: String, _ more: String = "") throws -> ParameterTable {
        let (run, root) = try prepare(model, more)
        defer { try? FileManager.default.removeItem(at: root) }
        return try run.parameterTable()
    }

    @Test func tableNamesEveryRole() throws {
        let rows = try table("deepseek_v3", "adapter:\n  rank: 2\n").rows
        #expect(
            rows.map(\.role) == ["attention", "MLP", "routed experts", "shared experts", "router", "embedding", "head"])
        // Two layers with eight experts of 3 · 64 · 16.
        let experts = try #require(rows.first { $0.role == "routed experts" })
        #expect(experts.total == 2 * 8 * 3 * 64 * 16 && experts.adapted == experts.total && experts.frozen == 0)
        #expect(experts.trained == 2 * 8 * 3 * 2 * (64 + 16))
        let router = try #require(rows.first { $0.role == "router" })
        #expect(router.total == 2 * 8 * 64 && router.adapted == 0 && router.frozen == router.total)
        #expect(rows.last?.total == 288 * 64)
    }

    @Test func expertsLeftFrozenAreSaid() throws {
        #expect(try table("mixtral").warning == nil)
        #expect(try table("llama").warning == nil)
        let attention = try table("mixtral", "adapter:\n  target_modules: attention\n").warning
        #expect(attention?.contains("routed experts stay frozen") == true)
        let excluded = "adapter:\n  target_modules: all-linear\n  exclude_modules: ['.*experts.*']\n"
        #expect(try table("mixtral", excluded).warning?.contains("routed experts stay frozen") == true)
        let fused =
            "adapter:\n  target_modules: attention\n  target_parameters: [mlp.experts.gate_up_proj, mlp.experts.down_proj]\n"
        #expect(try table("mixtral", fused).warning == nil)
    }

    @Test func usageAndAuxiliaryLossAreLogged() throws {
        for (model, layers) in [("mixtral", 4), ("llama4_text", 2)] {
            let (run, root) = try prepare(
                model,
                "training:\n  steps: 2\n  micro_batch_size: 4\n  gradient_accumulation_steps: 2\n  aux_loss_coefficient: 0.01\n"
            )
            defer { try? FileManager.default.removeItem(at: root) }
            let folder = try RunFolder.create(
                URL(fileURLWithPath: run.recipe.output.directory), recipe: Data(), resolved: Data(), overwrite: false)
            let training = try run.makeRun(in: folder)
            _ = try training.run(shouldStop: { false }, report: { _ in })
            let lines = try String(contentsOf: folder.url.appendingPathComponent("metrics.jsonl"), encoding: .utf8)
                .split(separator: "\n").map {
                    try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any] ?? [:]
                }
            #expect(lines.count == 2)
            let chosen = model == "mixtral" ? 2 : 1
            for line in lines {
                let tokens = try #require(line["expert_tokens"] as? [[Int]])
                #expect(tokens.count == layers)
                for layer in tokens { #expect(layer.count == 4 && layer.reduce(0, +) == 160 * chosen) }
                #expect((line["routing_entropy"] as? [Double])?.count == layers)
                let auxiliary = try #require(line["aux_loss"] as? Double)
                #expect(auxiliary > 0.9 * Double(chosen) && auxiliary < 4 * Double(chosen))
            }
            #expect(training.state.experts?.tokens.first?.reduce(0, +) == 2 * 160 * chosen)
        }
    }

    /// It is no sum over tokens, and yet pieces of a micro-batch give what the whole gives.
    @Test(arguments: ["none", "blocks"]) func piecesAreSpreadAsTheWhole(recompute: String) throws {
        func train(_ coefficient: Double, _ split: String) throws -> (adapter: [Float], auxiliary: [Double]) {
            let (run, root) = try prepare(
                "mixtral",
                """
                adapter:
                  target_modules: [gate, q_proj]
                  dropout: 0.1
                training:
                  steps: 3
                  micro_batch_size: 8
                  gradient_accumulation_steps: 2
                  aux_loss_coefficient: \(coefficient)
                  split_tokens: \(split)
                  recompute: \(recompute)

                """)
            defer { try? FileManager.default.removeItem(at: root) }
            let folder = try RunFolder.create(
                URL(fileURLWithPath: run.recipe.output.directory), recipe: Data(), resolved: Data(), overwrite: false)
            var auxiliary: [Double] = []
            _ = try run.makeRun(in: folder).run(shouldStop: { false }) { event in
                if case .step(let step, _, _) = event { auxiliary.append(step.auxiliaryLoss ?? 0) }
            }
            return (run.adapter.parameters.flatMap { $0.value.toArray() }, auxiliary)
        }
        func difference(_ a: [Float], _ b: [Float]) -> Double {
            let squares = zip(a, b).reduce(0.0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
            return (squares / b.reduce(0.0) { $0 + Double($1 * $1) }).squareRoot()
        }
        let (whole, pieces, without) = (try train(10, "none"), try train(10, "45"), try train(0, "none"))
        #expect(difference(pieces.adapter, whole.adapter) < 1e-5 && pieces.adapter != whole.adapter)
        #expect(difference(without.adapter, whole.adapter) > 1e-3)
        for (piece, all) in zip(pieces.auxiliary, whole.auxiliary) { #expect(abs(piece - all) < 1e-5 * all && all > 1) }
    }

    @Test func auxiliaryLossNeedsExperts() {
        let words = message { _ = try prepare("llama", "training:\n  aux_loss_coefficient: 0.01\n") }
        #expect(words.contains("aux_loss_coefficient") && words.contains("no experts"))
    }

    /// Tiny learning: with a trainable router the auxiliary loss falls.
    @Test func auxiliaryLossSpreadsTokens() throws {
        let (run, root) = try prepare(
            "llama4_text",
            """
            adapter:
              target_modules: router
              rank: 4
            training:
              steps: 12
              micro_batch_size: 20
              gradient_accumulation_steps: 1
              learning_rate: 3e-2
              schedule: constant
              warmup_ratio: 0
              aux_loss_coefficient: 1000

            """)
        defer { try? FileManager.default.removeItem(at: root) }
        let folder = try RunFolder.create(
            URL(fileURLWithPath: run.recipe.output.directory), recipe: Data(), resolved: Data(), overwrite: false)
        var losses: [Double] = []
        _ = try run.makeRun(in: folder).run(shouldStop: { false }) { event in
            if case .step(let step, _, _) = event, let loss = step.auxiliaryLoss { losses.append(loss) }
        }
        // It is 1 where tokens are spread evenly over experts of which each token chooses one.
        #expect(losses.count == 12)
        #expect(losses.suffix(4).reduce(0, +) / 4 - 1 < (losses[0] - 1) / 2, "\(losses)")
    }

    /// Per-expert modules and fused tensors in 4 bits: packed expert by expert, trained over, near the unpacked model.
    @Test(arguments: ["mixtral", "llama4_text"]) func packedExperts(name: String) throws {
        let model = tinyModels.appendingPathComponent(name).path
        try withFolder { root in
            let recipe = try Recipe(
                yaml: "model:\n  path: \(model)\n  quantization: nf4\ndata:\n  train:\n    - path: d.jsonl\n",
                file: "r.yaml")
            let packing = try #require(recipe.model.packing)
            let packed = try BaseModel.open(
                model, packing: packing, cache: PackedCache(root.appendingPathComponent("cache")), on: compute)
            let network = try packed.makeModel(on: compute)
            let expert =
                name == "mixtral"
                ? "model.layers.1.block_sparse_moe.experts.2.w3.weight"
                : "model.layers.1.feed_forward.experts.gate_up_proj"
            let router =
                name == "mixtral"
                ? "model.layers.1.block_sparse_moe.gate.weight" : "model.layers.1.feed_forward.router.weight"
            #expect(try packed.tensors.tensor(expert).format == nil, "experts are packed")
            #expect(try packed.tensors.tensor(router).format != nil, "routers are not")
            let adapter = try LoRAAdapter(
                attaching: AdapterConfiguration(rank: 2), to: network.adapterTargets, seed: 1, on: compute)
            #expect(adapter.layers.contains { $0.role == .experts })
        }
    }
}
