// Unpacks Plotly's program, runs it, and draws the figures in the page's own colors.
const read = (id) => document.getElementById(id).textContent;
const dark = matchMedia("(prefers-color-scheme: dark)");

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const unzipped = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(unzipped).text();
}

function draw() {
  const style = getComputedStyle(document.documentElement);
  const color = style.getPropertyValue("--ink");
  const hoverlabel = { bgcolor: style.getPropertyValue("--panel"), font: { color } };
  const places = document.querySelectorAll("[data-figure]");
  const dragmode = matchMedia("(pointer: coarse)").matches ? false : "zoom";
  JSON.parse(read("figures")).forEach(({ data, layout }, index) => {
    layout = { ...layout, hoverlabel, dragmode, font: { ...layout.font, color } };
    Plotly.react(places[index], data, layout, { displayModeBar: false, responsive: true });
  });
  document.documentElement.dataset.drawn = "yes";
}

unpack(read("plotly")).then((program) => {
  const script = document.createElement("script");
  script.textContent = program;
  document.head.append(script);
  draw();
  dark.addEventListener("change", draw);
});
