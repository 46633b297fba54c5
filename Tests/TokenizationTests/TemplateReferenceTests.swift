import Testing
import Tokenization

/// Every recorded rendering of real and made-up templates, character by character.
@Suite struct TemplateReferenceTests {
    @Test func everyReferenceRenderingIsExact() throws {
        let renderings = try ReferenceRendering.all()
        #expect(renderings.count == 314)
        var (rendered, refused) = (0, 0)
        for reference in renderings {
            guard let expected = reference.record["rendered"]?.stringValue else {
                refused += 1
                checkError(of: reference)
                continue
            }
            rendered += 1
            let result = try reference.render()
            #expect(Array(result.text.utf8) == Array(expected.utf8), "\(reference.name)")
            guard let spans = reference.record["assistant_char_spans"]?.arrayValue else { continue }
            #expect(
                result.generationSpans.map { [$0.lowerBound, $0.upperBound] }
                    == spans.map { span in (span.arrayValue ?? []).compactMap(\.intValue) }, "\(reference.name)")
        }
        #expect(rendered == 306)
        #expect(refused == 8)
    }

    private func checkError(of reference: ReferenceRendering) {
        let isRefusal = reference.record["error_kind"]?.stringValue == "raise_exception"
        do {
            _ = try reference.render()
            Issue.record("\(reference.name) is rendered, but transformers refuses it")
        } catch TemplateError.refused(let line, let message) {
            #expect(isRefusal)
            #expect(line > 1)
            #expect(reference.record["error"]?.stringValue == "TemplateError: " + message)
        } catch {
            #expect(!isRefusal, "\(reference.name): \(error)")
        }
    }

    /// Templates that were written for this test and rendered once by Jinja itself: every filter, test and method on
    /// every kind of value, all operators, statements, and white space around tags.
    @Test func everyRecordedTemplateIsRenderedAsByJinja() throws {
        let fixture = try TemplateFixture.json("jinja/cases.json")
        let messages = try TemplateFixture.messages(fixture["messages"])
        let variables = try #require(fixture["variables"]?.objectValue)
        let cases = try #require(fixture["cases"]?.arrayValue)
        let now = try TemplateClock(TemplateFixture.now)
        #expect(cases.count > 5000)
        for record in cases {
            let source = try #require(record[0]?.stringValue)
            let rendering: Rendering?
            do {
                rendering = try ChatTemplate(source).render(messages: messages, variables: variables, now: now)
            } catch {
                rendering = nil
                #expect(record[1] == .null, "\(source): \(error)")
            }
            guard let rendering else { continue }
            let expected = record[1]?.stringValue
            #expect(expected.map { Array($0.utf8) } == Array(rendering.text.utf8), "\(source): \(rendering.text)")
            let spans = (record[2]?.arrayValue ?? []).map { ($0.arrayValue ?? []).compactMap(\.intValue) }
            #expect(rendering.generationSpans.map { [$0.lowerBound, $0.upperBound] } == spans, "\(source)")
        }
    }
}
