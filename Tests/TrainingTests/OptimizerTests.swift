import Autograd
import Checkpoints
import Datasets
import Foundation
import Layers
import TensorCore
import Testing
import Training

/// AdamW against double arithmetic and against another implementation.
@Suite struct OptimizerTests {
    let compute: Compute

    init() throws { compute = try Compute(threadCount: 2) }

    @Test func followsDoubleArithmetic() {
        let count = 37
        func noise(_ stream: UInt64) -> [Float] {
            RandomStream(seed: 1, purpose: .initialization, stream: stream).uniform(count: count).map { 2 * $0 - 1 }
        }
        let parameter = Parameter(name: "p", value: compute.tensor(noise(0), shape: [count]))
        let settings = AdamW.Settings(beta1: 0.8, beta2: 0.95, epsilon: 1e-6, weightDecay: 0.1)
        var optimizer = AdamW([parameter], settings: settings, on: compute)
        var (p, m, v) = (
            noise(0).map(Double.init), [Double](repeating: 0, count: count), [Double](repeating: 0, count: count)
        )
        for step in 1...5 {
            let (gradient, rate) = (noise(UInt64(step)), 0.01 * Double(step))
            let gradients = Gradients()
            gradients.accumulate(parameter, on: compute) { sum, _ in for i in 0..<count { sum[i] = gradient[i] } }
            optimizer.update(with: gradients, scale: 0.25, learningRate: rate)
            for i in 0..<count {
                let g = Double(gradient[i]) * 0.25
                m[i] = 0.8 * m[i] + 0.2 * g
                v[i] = 0.95 * v[i] + 0.05 * g * g
                let (first, second) = (m[i] / (1 - pow(0.8, Double(step))), v[i] / (1 - pow(0.95, Double(step))))
                p[i] -= rate * 0.1 * p[i] + rate * first / (second.squareRoot() + 1e-6)
            }
            #expect(relativeError(parameter.value.toArray().map(Double.init), p) < 1e-6, "step \(step)")
        }
        #expect(optimizer.step == 5)
        #expect(relativeError(optimizer.first[0].toArray().map(Double.init), m) < 1e-6)
        #expect(relativeError(optimizer.second[0].toArray().map(Double.init), v) < 1e-6)
    }

    /// What torch does with a gradient that is `None`: no decay, and the step does not count in the bias correction.
    @Test func withoutAGradientAParameterStays() {
        func parameter(_ name: String) -> Parameter { Parameter(name: name, value: compute.tensor([4, -2], shape: [2])) }
        let (always, sometimes) = (parameter("a"), parameter("b"))
        var optimizer = AdamW([always, sometimes], settings: AdamW.Settings(weightDecay: 0.5), on: compute)
        func step(_ reached: [Parameter]) {
            let gradients = Gradients()
            for parameter in reached {
                gradients.accumulate(parameter, on: compute) { sum, _ in (sum[0], sum[1]) = (1, -3) }
            }
            optimizer.update(with: gradients, scale: 1, learningRate: 0.1)
        }
        step([always])
        let afterOne = always.value.toArray()
        #expect(sometimes.value.toArray() == [4, -2] && optimizer.first[1].toArray() == [0, 0])
        step([always, sometimes])
        // Its first step is like the other's first.
        #expect(sometimes.value.toArray() == afterOne && always.value.toArray() != afterOne)
        #expect(optimizer.step == 2 && optimizer.updates == [2, 1])
    }

    /// Parameters are cut into pieces for the threads: larger and smaller ones than a piece, in one step.
    @Test func piecesAndThreadsChangeNothing() throws {
        let sizes = [3, 8192, 20_001]
        let results = try [1, 2, 3].map { threads in
            let compute = try Compute(threadCount: threads)
            let parameters = sizes.map { size in
                Parameter(
                    name: "p\(size)", value: compute.tensor((0..<size).map { Float($0 % 7) - 3.5 }, shape: [size]))
            }
            var optimizer = AdamW(parameters, on: compute)
            let gradients = Gradients()
            for parameter in parameters {
                gradients.accumulate(parameter, on: compute) { sum, _ in
                    for index in 0..<parameter.value.count { sum[index] = Float(index % 5) - 2 }
                }
            }
            optimizer.update(with: gradients, scale: 0.5, learningRate: 0.1)
            return (parameters.map { $0.value.toArray() }, optimizer.squares)
        }
        let (values, squares) = results[0]
        // The first step has the size of the rate, whatever the gradient; elements 0 have all the same one.
        #expect(values.allSatisfy { abs($0[0] - (-3.5 * 0.999 + 0.1)) < 1e-6 })
        #expect(values[2][20_000] == values[2][20_000 % 35])
        for (values, sum) in zip(values, squares) {
            #expect(abs(values.reduce(0.0) { $0 + Double($1) * Double($1) } - sum) < 1e-6 * sum)
        }
        #expect(results.allSatisfy { $0.0 == values && $0.1 == squares })
    }

    /// Ten steps on the reference's data: its losses and its final adapter.
    @Test func tenStepsOfTheReference() throws {
        let reference = try SafetensorsFile(tinyFolder.appendingPathComponent("expected.safetensors"))
        let data = try Data(contentsOf: tinyFolder.appendingPathComponent("expected.json"))
        let numbers = try JSONSerialization.jsonObject(with: data) as? [String: Any] ?? [:]
        let curve = (numbers["adapter"] as? [String: Any])?["curve"] as? [Double] ?? []
        let bench = try Bench(from: tinyFolder.appendingPathComponent("adapter"), on: compute)
        let ids = try (reference.entry("input_ids").integers() ?? []).map { Int32($0) }
        let batch = window([[EncodedExample(ids: Array(ids[..<40])), EncodedExample(ids: Array(ids[40...]))]])
        #expect(curve.count == 11)
        for step in 0..<10 { #expect(abs(try bench.trainer.step(batch).loss - curve[step]) < 5e-5, "step \(step)") }
        var (difference, size) = (0.0, 0.0)
        for parameter in bench.adapter.parameters {
            let expected = try reference.tensor("adapter.final.base_model.model.\(parameter.name).weight").expandAll()
            for (a, b) in zip(parameter.value.toArray(), expected) {
                #expect(abs(a - b) < 1e-3, "\(parameter.name)")
                difference += pow(Double(a) - Double(b), 2)
                size += Double(b) * Double(b)
            }
        }
        #expect((difference / size).squareRoot() < 1e-4)
        #expect(abs(try bench.trainer.step(batch).loss - curve[10]) < 5e-5)
    }
}
