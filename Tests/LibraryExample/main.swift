import Autograd
import Datasets
import Foundation
import Layers
import Models
import Recipes
import TensorCore
import Tokenization
import Training

// LibraryExample MODEL TEXT-FILE OUTPUT-FOLDER: ten steps of LoRA on the lines of a text file.
let (modelPath, textPath, output) = (CommandLine.arguments[1], CommandLine.arguments[2], CommandLine.arguments[3])

// A base model: a Hugging Face folder or a .gguf file. Its weights stay as they are.
let compute = try Compute(precision: .float32)
let base = try BaseModel.open(modelPath)
let model = try base.makeModel(on: compute)
let tokenizer = try base.requireTokenizer()

// A low-rank adapter on every linear layer, and an optimiser for it.
let settings = AdapterConfiguration(rank: 8, alpha: 16, targets: .group(.allLinear))
let adapter = try LoRAAdapter(attaching: settings, to: model.adapterTargets, seed: 42, on: compute)
var optimizer = AdamW(adapter.parameters, on: compute)

// One batch: the texts laid end to end, without padding.
let lines = try String(contentsOfFile: textPath, encoding: .utf8).split(separator: "\n")
let batch = TokenBatch(lines.map { EncodedExample(ids: tokenizer.encode(String($0))) })

for step in 1...10 {
    let gradients = Gradients()
    let graph = Graph(compute: compute, gradients: gradients)
    let hidden = model.hiddenStates(batch.tokens, layout: batch.layout, cache: nil, recompute: false, in: graph)
    let (loss, sum) = model.loss(hidden, targets: batch.targets, in: graph)
    graph.backward(from: loss)
    optimizer.update(with: gradients, scale: 1 / Float(batch.supervisedCount), learningRate: 2e-3)
    print("step \(step): loss \(sum / Double(batch.supervisedCount))")
}
let folder = URL(fileURLWithPath: output, isDirectory: true)
try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
try AdapterFolder.write(adapter, baseModel: base.name, to: folder)
