"use strict";

// Films are carried as text and become blobs when their rollout comes near the window.
function load(video) {
  if (video.src) return;
  const carrier = document.getElementById(video.dataset.source);
  const bytes = Uint8Array.from(atob(carrier.textContent), (c) => c.charCodeAt(0));
  video.src = URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
  carrier.remove();
}

function whenNear(element, action) {
  const observer = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    action();
  }, { rootMargin: "800px" });
  observer.observe(element);
}

function setPlaying(button, playing) {
  button.setAttribute("aria-pressed", playing);
  button.setAttribute("aria-label", playing ? "Pause" : "Play");
}

function show(value) {
  if (value === null || value === undefined) return "–";
  return String(Math.round(value * 1000) / 1000).replace("-", "−");
}

// One clock per rollout: the first film leads, the other follows, slider, cursors and numbers show its step.
function rollout(article) {
  const { dt, steps, series } = JSON.parse(article.querySelector(".data").textContent);
  const player = article.querySelector("[data-player]");
  const videos = [...article.querySelectorAll("[data-player] video")]; // none where a rollout was not filmed
  const [leader, ...followers] = videos;
  const play = article.querySelector("[data-player] .play");
  const seek = article.querySelector(".seek");
  const clock = article.querySelector(".clock");
  const cursors = article.querySelectorAll(".plot .cursor");
  const cells = article.querySelectorAll("[data-now]");
  let current = 0;

  function display(step) {
    current = Math.min(Math.max(step, 0), steps - 1);
    const time = `${(current * dt).toFixed(1)} s`;
    if (leader) {
      seek.value = current;
      seek.setAttribute("aria-valuetext", time);
      clock.textContent = time;
    }
    for (const cursor of cursors) {
      cursor.setAttribute("x1", current + 0.5);
      cursor.setAttribute("x2", current + 0.5);
    }
    for (const cell of cells) {
      const values = series[cell.dataset.now];
      cell.textContent = values ? show(values[current]) : "";
    }
  }

  function jump(step) {
    display(step);
    for (const video of videos) {
      load(video);
      video.currentTime = (current + 0.5) * dt; // the middle of the picture, clear of rounding
    }
  }

  function follow() {
    display(Math.floor(leader.currentTime / dt + 1e-6));
    for (const video of followers) {
      const drift = Math.abs(video.currentTime - leader.currentTime);
      if (drift > dt && !video.seeking) video.currentTime = leader.currentTime;
    }
    if (!leader.paused && !leader.ended) requestAnimationFrame(follow);
  }

  function toggle() {
    if (leader.paused || leader.ended) {
      if (leader.ended) jump(0);
      for (const video of videos) {
        load(video);
        video.play().catch(() => setPlaying(play, false));
      }
    } else {
      for (const video of videos) video.pause();
      jump(current);
    }
  }

  if (leader) {
    leader.addEventListener("play", () => { setPlaying(play, true); requestAnimationFrame(follow); });
    leader.addEventListener("pause", () => setPlaying(play, false));
    leader.addEventListener("ended", () => { setPlaying(play, false); display(steps - 1); });
    play.addEventListener("click", toggle);
    for (const video of videos) video.addEventListener("click", toggle);
    seek.addEventListener("input", () => jump(Number(seek.value)));
    player.querySelector(".rate select").addEventListener("change", (event) => {
      for (const video of videos) video.playbackRate = Number(event.target.value);
    });
  }

  for (const plot of article.querySelectorAll(".plot")) {
    const at = (event) => {
      const box = plot.getBoundingClientRect();
      jump(Math.floor((event.clientX - box.left) / box.width * steps));
    };
    plot.addEventListener("pointerdown", (event) => { plot.setPointerCapture(event.pointerId); at(event); });
    plot.addEventListener("pointermove", (event) => { if (event.buttons) at(event); });
  }
  for (const button of article.querySelectorAll("[data-step]")) {
    button.addEventListener("click", () => {
      for (const video of videos) video.pause();
      jump(Number(button.dataset.step));
      player?.scrollIntoView({ block: "nearest" });
    });
  }
  display(0);
  whenNear(article, () => videos.forEach(load));
}

// The film holds photos above generated pictures. Each camera's cell shows the photo left of a divider that all
// share, the generated picture right of it; or the film is shown as it is.
function comparison(section) {
  const video = section.querySelector("video");
  const canvas = section.querySelector("canvas");
  const play = section.querySelector(".play");
  const divider = section.querySelector(".divider");
  const cells = JSON.parse(canvas.dataset.cells);
  const below = Number(canvas.dataset.below);
  const brush = canvas.getContext("2d");

  function draw() {
    const share = divider.value / 100;
    for (const [x, y, width, height] of cells) {
      const cut = Math.round(share * width);
      if (cut > 0) brush.drawImage(video, x, y, cut, height, x, y, cut, height);
      if (cut < width) brush.drawImage(video, x + cut, below + y, width - cut, height, x + cut, y, width - cut, height);
      if (cut > 0 && cut < width) {
        brush.fillStyle = "#fff";
        brush.fillRect(x + cut - 1, y, 2, height);
      }
    }
  }

  function loop() {
    draw();
    if (!video.paused) requestAnimationFrame(loop);
  }

  function toggle() {
    load(video);
    if (video.paused) video.play().catch(() => setPlaying(play, false));
    else video.pause();
  }

  function drag(event) {
    const box = canvas.getBoundingClientRect();
    const at = (event.clientX - box.left) * canvas.width / box.width;
    const row = (event.clientY - box.top) * canvas.height / box.height;
    const cell = cells.find(([x, y, width, height]) => at >= x && at < x + width && row >= y && row < y + height);
    if (!cell) return;
    divider.value = Math.round((at - cell[0]) / cell[2] * 100);
    draw();
  }

  video.addEventListener("play", () => { setPlaying(play, true); loop(); });
  video.addEventListener("pause", () => setPlaying(play, false));
  video.addEventListener("loadeddata", draw);
  video.addEventListener("seeked", draw);
  video.addEventListener("click", toggle);
  play.addEventListener("click", toggle);
  divider.addEventListener("input", draw);
  canvas.addEventListener("pointerdown", drag);
  canvas.addEventListener("pointermove", (event) => { if (event.pointerType === "mouse" || event.buttons) drag(event); });
  section.querySelector("select").addEventListener("change", (event) => {
    const wipe = event.target.value === "wipe";
    canvas.hidden = !wipe;
    video.hidden = wipe;
    divider.style.visibility = wipe ? "visible" : "hidden";
  });
  whenNear(section, () => load(video));
}

document.getElementById("copy").addEventListener("click", async (event) => {
  const command = document.getElementById("command");
  const button = event.currentTarget;
  try {
    await navigator.clipboard.writeText(command.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(command); // no permission: leave it selected
    button.textContent = "Press Ctrl C";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
});

document.querySelectorAll(".rollout").forEach(rollout);
document.querySelectorAll(".compare").forEach(comparison);
document.documentElement.dataset.ready = "true";
