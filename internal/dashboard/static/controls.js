import {$} from "./words.js";
import {post} from "./api.js";

const questions = {
  stop: {question: "Stop the run?", consequence: "What is in flight is finished and recorded, then the process ends. 'offboard resume' goes on.", yes: "Stop the run"},
  pause: {question: "Pause the run?", consequence: "No further request is sent until somebody goes on.", yes: "Pause"},
  unpause: {question: "Go on sending?", consequence: "The run sends the remaining machines.", yes: "Go on"},
};

// confirmed asks first; the dialog gives the focus back by itself.
function confirmed({question, consequence, yes}) {
  const dialog = $("confirm");
  $("question").textContent = question;
  $("consequence").textContent = consequence;
  $("yes").textContent = yes;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise(answer => dialog.addEventListener("close", () => answer(dialog.returnValue === "yes"), {once: true}));
}

export class Controls {
  constructor(problem) {
    this.problem = problem;
    $("yes").addEventListener("click", () => $("confirm").close("yes"));
    $("no").addEventListener("click", () => $("confirm").close(""));
    $("stop").addEventListener("click", () => this.act("stop"));
    $("pause").addEventListener("click", () => this.act(this.held ? "unpause" : "pause"));
  }

  async act(what) {
    if (!await confirmed(questions[what])) return;
    try {
      await post("api/" + what);
      this.problem("");
    } catch (e) {
      this.problem("Not done: " + e.message);
    }
  }

  show(possible, running) {
    this.held = !!running?.held;
    $("controls").hidden = !possible;
    $("pause").textContent = this.held ? "Go on" : "Pause";
    $("pause").disabled = $("stop").disabled = !running || !!running.stopping;
  }

  end() {
    $("pause").disabled = $("stop").disabled = true;
    if ($("confirm").open) $("confirm").close("");
  }
}
