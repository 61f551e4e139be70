// A program against the API, with types that are made of its description: it compiles only if the description says what it
// needs, and ends well only if the daemon does what the description says.
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

// Node's, of which nothing else is needed.
declare const process: { argv: string[] };

const [, , address = "", token = ""] = process.argv;
const client = createClient<paths>({ baseUrl: address, headers: { authorization: `Bearer ${token}` } });

function expect(holds: boolean, what: string): asserts holds {
    if (!holds) throw new Error(what);
}

// A document of a type has the fields of that type, and no others.
const title: components["schemas"]["Layer"] = {
    id: "title",
    zIndex: 10,
    transform: { positionX: 20, positionY: 20, width: 280, height: 60 },
    content: { type: "text", text: "Good evening", size: 32, color: "#ffffff" },
};
const stream = { id: "main" };

const list = await client.GET("/api/v1/streams");
expect(list.data?.streams.some((shown) => shown.id === "main" && shown.state === "stopped") === true, "the stream is there");

const created = await client.POST("/api/v1/streams/{id}/layers", { params: { path: stream }, body: title });
expect(created.data?.layer.content.type === "text", "the layer is made");

const changed = await client.PATCH("/api/v1/streams/{id}/layers/{layerId}", {
    params: { path: { ...stream, layerId: "title" }, header: { "If-Match": `"${created.data.revision}"` } },
    body: { content: { text: "Good night" }, opacity: 0.5 },
});
expect(changed.data !== undefined && changed.data.revision > created.data.revision, "the change has a revision");
const content = changed.data.layer.content;
expect(content.type === "text" && content.text === "Good night" && content.size === 32, "the rest of the text is as it was");

const late = await client.DELETE("/api/v1/streams/{id}/layers/{layerId}", {
    params: { path: { ...stream, layerId: "title" }, header: { "If-Match": `"${created.data.revision}"` } },
});
expect(late.error?.code === "revision_conflict" && late.error.status === 412, "a change of an old revision is refused");

const taken = await client.POST("/api/v1/streams/{id}/take", {
    params: { path: stream },
    body: { scene: "break", transition: { type: "fade", durationMs: 500 } },
});
expect(taken.data?.scene === "break", "the other scene is on air");

console.log(`revision ${taken.data.revision}`);
