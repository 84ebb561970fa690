// What a model writes is words: none of it becomes a part of the page that does anything.
import assert from "node:assert/strict";
import { exchange, scripted } from "../scripted.mjs";

const HOSTILE = `# Title *x*

<img src=x onerror="globalThis.hit = 1"> <script>globalThis.hit = 2</script>
[bad](javascript:globalThis.hit=3) [worse](&#106;avascript:globalThis.hit=4) [data](data:text/html,x) [tab](java	script:x)
![picture](https://pictures.example/p.png) [good](https://good.example/a_b) <https://auto.example/> <javascript:globalThis.hit=5>

<iframe src="https://frame.example"></iframe>

| a <b>b</b> | c |
|---|---|
| \`<i>\` | [cell](vbscript:x) |

1. one **bold**
   - [x] done

\`\`\`html
<script>globalThis.hit = 6</script>
\`\`\``;

export const markdown = [
  {
    name: "an answer's tags are text, its pictures are not loaded and only web and mail links open",
    async run(bench) {
      const browser = await bench.browser();
      const asked = [];
      browser.context.on("request", (request) => asked.push(request.url()));
      const panel = await scripted(browser, { messages: exchange(1, "Why?", { text: HOSTILE }) });
      const answer = panel.at("answer-text");
      await answer.getByText("one bold").waitFor();
      const found = await answer.evaluate((node) => ({
        tags: [...new Set([...node.querySelectorAll("*")].map((element) => element.localName))],
        links: [...node.querySelectorAll("a")].map((link) => [link.getAttribute("href"), link.textContent, link.rel, link.target]),
        words: node.innerText,
        hit: globalThis.hit,
      }));
      for (const tag of ["img", "script", "iframe", "b", "i"]) assert.ok(!found.tags.includes(tag), `${tag} is in the page`);
      for (const tag of ["em", "strong", "table", "ol", "ul", "li", "code", "pre", "a"]) assert.ok(found.tags.includes(tag), `no ${tag}`);
      const opens = (href, words) => [href, words, "noopener noreferrer", "_blank"];
      assert.deepEqual(found.links, [
        opens("https://pictures.example/p.png", "Image, not loaded: picture"),
        opens("https://good.example/a_b", "good"),
        opens("https://auto.example/", "https://auto.example/"),
      ]);
      for (const words of ['<img src=x onerror="globalThis.hit = 1">', "<script>globalThis.hit = 2</script>", "<iframe", "a <b>b</b>", "<script>globalThis.hit = 6</script>", "☑ done"]) {
        assert.ok(found.words.includes(words), `${words} is not shown as it was written`);
      }
      assert.equal(found.hit, undefined);
      assert.ok(asked.every((url) => url.startsWith("chrome-extension://")), asked.join(" "));
    },
  },
];
