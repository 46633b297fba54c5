import Datasets
import Foundation
import Training

/// Readers of data sets and of checkpoints' state.
enum FuzzData {
    private static func readAll(_ place: URL) {
        guard let reader = try? DatasetReader(path: place.path) else { return }
        var count = 0
        for record in reader.records() {
            count += 1
            if case .failure(let problem) = record { require(!"\(problem)".isEmpty, "a problem has words") }
            // Sixteen million records of a bomb are as good as all.
            if count > 1 << 20 { break }
        }
    }

    static func table(_ input: Data) {
        readAll(FuzzFolder.write(input, (input.first ?? 0) & 1 == 0 ? "fuzz.csv" : "fuzz.tsv"))
    }

    static func lines(_ input: Data) { readAll(FuzzFolder.write(input, "fuzz.jsonl")) }

    static func packed(_ input: Data) { readAll(FuzzFolder.write(input, "fuzz.jsonl.gz")) }

    static func checkpoint(_ input: Data) {
        _ = try? JSONDecoder().decode(TrainingState.self, from: input)
        for (name, fixture) in [
            ("adapter_config.json", "adapter_config.json"), ("adapter_model.safetensors", "adapter_model.safetensors"),
            ("optimizer.safetensors", "adapter_model.safetensors"),
        ] { FuzzFolder.add("MartletTests/Fixtures/cli/llama-adapter/\(fixture)", as: name) }
        _ = FuzzFolder.write(input, "state.json")
        _ = try? TrainingCheckpoint(FuzzFolder.url)
    }
}
