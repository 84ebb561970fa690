// Asks the worker every two seconds and shows what it tells. All text goes in as text, never as markup.
"use strict";
{
  const token = new URL(document.currentScript.src).searchParams.get("token");
  const QUARTER = 15 * 60 * 1000;
  const DAY = 96;
  const STATES = {
    starting: ["Starting", "unknown"],
    online: ["Online", "online"],
    no_backend: ["No backend", "degraded"],
    no_peers: ["Online, nobody connected", "online"],
    draining: ["Stopping", "degraded"],
    gone: ["Does not answer", "offline"],
  };
  const ERRORS = {
    bad_request: "Not a chat request", model_unavailable: "Model not there", overloaded: "Overloaded, refused",
    payment_required: "Payment missing", payment_invalid: "Payment invalid", too_large: "Too large",
    refused: "Declined", internal: "Backend failed", unsupported: "Not supported", other: "Other",
  };
  const ENDS = { running: "running", complete: "complete", truncated: "cut at its limit", cancelled: "stopped by the user" };

  const at = (id) => document.getElementById(id);
  const say = (id, text) => { if (at(id).textContent !== text) at(id).textContent = text; };
  const number = (value) => (value === null ? "-" : value.toLocaleString("en"));
  const seconds = (ms) => (ms === null ? "-" : (ms / 1000).toFixed(2));
  const many = (count, noun) => `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
  const clock = (ms, more) => new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false, ...more });
  const span = (all) => {
    const [days, hours, minutes] = [Math.floor(all / 86400), Math.floor(all / 3600), Math.floor(all / 60)];
    if (days) return `${days} d ${hours % 24} h`;
    if (hours) return `${hours} h ${minutes % 60} min`;
    return minutes ? `${minutes} min` : `${all} s`;
  };
  const make = (name, text, kind) => {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    if (kind) element.className = kind;
    return element;
  };
  const draw = (name, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    return element;
  };

  // Status = shape, colour and word.
  const MARKS = {
    online: ["good", "circle", { cx: 5, cy: 5, r: 4 }],
    degraded: ["look", "path", { d: "M5 1 9.5 9h-9z" }],
    offline: ["bad", "circle", { cx: 5, cy: 5, r: 3.5, fill: "none", "stroke-width": 1.5 }],
    unknown: ["quiet", "circle", { cx: 5, cy: 5, r: 3.5, fill: "none", "stroke-width": 1.5, "stroke-dasharray": "2 1.5" }],
  };
  const mark = (kind) => {
    const [colour, shape, attributes] = MARKS[kind];
    const picture = draw("svg", { class: `mark ${colour}`, viewBox: "0 0 10 10", "aria-hidden": "true" });
    picture.append(draw(shape, { "stroke-width": 0, ...attributes }));
    return picture;
  };

  // A part of the page is drawn anew only when what it shows has changed: focus and selection stay.
  const shown = new Map();
  const fill = (id, facts, children) => {
    const key = JSON.stringify(facts);
    if (shown.get(id) === key) return;
    shown.set(id, key);
    at(id).replaceChildren(...children());
  };
  const row = (cells) => {
    const line = make("tr");
    line.append(...cells.map(([content, kind]) => {
      const cell = make("td", typeof content === "string" ? content : undefined, kind);
      if (typeof content !== "string") cell.append(...content);
      return cell;
    }));
    return line;
  };

  // Columns of the last day, oldest first; those without a question are empty.
  const day = (quarters, now) => {
    const last = Math.floor(now / QUARTER);
    const known = new Map(quarters.map((quarter) => [Math.round(quarter.at_ms / QUARTER), quarter]));
    return Array.from({ length: DAY }, (_, n) => known.get(last - DAY + 1 + n) ?? null);
  };
  const ceiling = (value) => {
    const step = 10 ** Math.floor(Math.log10(value));
    return [1, 2, 4, 6, 8, 10].map((factor) => factor * step).find((round) => round >= value);
  };
  const frame = (width, top, unit, now) => {
    const children = [];
    for (const part of [0, 0.5, 1]) {
      const y = 125 - part * 110;
      children.push(draw("line", { class: "grid", x1: 30, x2: width, y1: y, y2: y }));
      children.push(draw("text", { x: 24, y: y + 4, "text-anchor": "end" }, unit(top * part)));
    }
    children.push(draw("text", { x: 30, y: 145 }, clock(now - DAY * QUARTER)));
    children.push(draw("text", { x: width, y: 145, "text-anchor": "end" }, "now"));
    return children;
  };
  // A curve with gaps where nothing is known; a lone point is a dot.
  const curve = (values, width, top, kind) => {
    const x = (n) => (30 + ((width - 30) * n) / (DAY - 1)).toFixed(1);
    const y = (value) => (125 - (value / top) * 110).toFixed(1);
    let path = "";
    const dots = [];
    values.forEach((value, n) => {
      if (value === null) return;
      const joined = n > 0 && values[n - 1] !== null;
      path += `${joined ? "L" : "M"}${x(n)} ${y(value)}`;
      const alone = !joined && (n === DAY - 1 || values[n + 1] === null);
      if (alone) dots.push(draw("circle", { class: `dot ${kind}`, cx: x(n), cy: y(value), r: 2 }));
    });
    return [draw("path", { class: `curve ${kind}`, d: path }), ...dots];
  };

  const show = (status, now) => {
    const title = `${status.name}: ${STATES[status.state][0]}`;
    if (document.title !== title) document.title = title;
    say("name", status.name);
    say("fingerprint", status.fingerprint);
    const told = status.announced_ms === null ? "not announced yet" : `announced ${span(Math.max(0, Math.round((now - status.announced_ms) / 1000)))} ago`;
    say("since", `· up ${span(status.uptime_s)} · ${told} · ${many(status.peers, "peer")}`);
    const squares = status.glyph.flatMap((line, y) => line.map((on, x) => (on ? `M${x} ${y}h1v1h-1z` : ""))).join("");
    at("glyph").firstElementChild.setAttribute("d", squares);
    state(status.state);
    alarm(status.alert);

    const requests = status.accepted + status.refused;
    const errors = status.errors.reduce((sum, error) => sum + error.count, 0);
    const sum = (field) => status.models.reduce((all, model) => all + model[field], 0);
    say("requests", number(requests));
    say("requests-more", `${number(status.answered)} answered, ${number(status.cancelled)} stopped, ${number(status.refused)} refused`);
    say("speed", number(status.tokens_per_s));
    say("speed-more", `${sum("running")} of ${sum("slots")} slots, ${sum("waiting")} waiting`);
    say("first", seconds(status.first_p50_ms));
    say("first-more", status.first_p95_ms === null ? "no answer yet" : `p95 ${seconds(status.first_p95_ms)} s`);
    say("failed", requests ? ((100 * errors) / requests).toFixed(1) : "-");
    say("failed-more", `${number(errors)} of ${number(requests)}`);
    say("receipts", number(status.receipts));
    say("reputation", status.reputation);
    say("earnings", status.earnings);

    const columns = day(status.quarters, now);
    // Drawn as wide as it is shown, so that its words keep their size.
    const chart = (id, children) => {
      const width = at(id).clientWidth || 320;
      fill(id, [Math.floor(now / QUARTER), width, status.quarters], () => {
        at(id).setAttribute("viewBox", `0 0 ${width} 150`);
        return children(width);
      });
    };
    chart("requests-chart", (width) => {
      const values = columns.map((column) => column?.requests ?? 0);
      const top = ceiling(Math.max(4, ...values));
      const line = curve(values, width, top, "");
      const area = draw("path", { class: "area", d: `${line[0].getAttribute("d")}L${width} 125L30 125z` });
      return [...frame(width, top, number, now), area, ...line];
    });
    chart("first-chart", (width) => {
      const [half, most] = ["first_p50_ms", "first_p95_ms"].map((field) => columns.map((column) => column?.[field] ?? null));
      const top = ceiling(Math.max(100, ...most.filter((value) => value !== null)));
      const unit = (value) => (value / 1000).toFixed(top < 1000 ? 2 : 1);
      return [...frame(width, top, unit, now), ...curve(most, width, top, "second"), ...curve(half, width, top, "")];
    });
    const recent = [...status.quarters].reverse();
    fill("requests-table", status.quarters, () => recent.map((one) => row([[clock(one.at_ms)], [number(one.requests)]])));
    fill("first-table", status.quarters, () => recent.map((one) => row([[clock(one.at_ms)], [seconds(one.first_p50_ms)], [seconds(one.first_p95_ms)]])));

    at("latest-none").hidden = status.latest.length > 0;
    fill("latest", status.latest, () => status.latest.map((one) => {
      const kind = one.end === "running" ? "unknown" : one.end === "complete" || one.end === "truncated" ? "online" : one.end === "cancelled" ? "unknown" : "degraded";
      const end = [mark(kind), ENDS[one.end] ?? (ERRORS[one.end] ?? one.end).toLowerCase()];
      return row([
        [clock(one.at_ms, { second: "2-digit" }), "text"], [one.model, "text"], [number(one.prompt_tokens)],
        [number(one.completion_tokens)], [seconds(one.first_ms)], [number(one.tokens_per_s)], [end, "text"],
      ]);
    }));

    at("errors-none").hidden = status.errors.length > 0;
    fill("errors", status.errors, () => status.errors.map((error) => {
      const line = make("li");
      const most = Math.max(...status.errors.map((other) => other.count));
      const bar = draw("svg", { viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" });
      bar.append(draw("rect", { width: (100 * error.count) / most, height: 6 }));
      line.append(make("span", `${ERRORS[error.name] ?? error.name} (${error.code})`), make("span", number(error.count)), bar);
      return line;
    }));
    fill("models", status.models, () => status.models.map((model) => {
      const line = make("li");
      const name = make("span");
      name.append(mark(model.up ? "online" : "offline"), model.model);
      const more = `${model.up ? "up" : "down"}, ${model.running} of ${model.slots} running, ${model.waiting} waiting`;
      line.append(name, make("span", more, "meta"));
      return line;
    }));
  };

  const state = (name) => {
    const [word, kind] = STATES[name];
    fill("state", name, () => [mark(kind), word]);
  };
  const alarm = (alert) => {
    at("alert").hidden = alert === null;
    say("alert-title", alert?.title ?? "");
    say("alert-body", alert?.body ?? "");
    say("alert-command", alert?.command ?? "");
  };

  const ask = async () => {
    if (document.hidden) return;
    try {
      const response = await fetch("/status", { headers: { Authorization: `Bearer ${token}` }, cache: "no-store" });
      if (!response.ok) throw new Error(String(response.status));
      show(await response.json(), Date.now());
    } catch {
      state("gone");
      alarm({ title: "The worker does not answer.", body: "It stopped, or was started again at another address, which this prints:", command: "worker status" });
    }
  };
  document.addEventListener("visibilitychange", ask);
  setInterval(ask, 2000);
  ask();
}
