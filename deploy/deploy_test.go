// Package deploy checks the files beside it with the parsers of the programs that
// read them. It is a module of its own, so that these stay out of offboard's.
package deploy

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// TestKubernetes: every object has only fields that Kubernetes knows, and the pod
// refers to what is there.
func TestKubernetes(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("kubernetes", "offboard.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var (
		account core.ServiceAccount
		claim   core.PersistentVolumeClaim
		job     batch.CronJob
	)
	documents := bytes.Split(text, []byte("\n---\n"))
	if len(documents) != 3 {
		t.Fatalf("%d objects; want 3", len(documents))
	}
	for i, object := range []any{&account, &claim, &job} {
		if err := yaml.UnmarshalStrict(documents[i], object); err != nil {
			t.Errorf("object %d: %v", i, err)
		}
	}
	pod := job.Spec.JobTemplate.Spec.Template.Spec
	if job.Kind != "CronJob" || pod.ServiceAccountName != account.Name || len(pod.Containers) != 1 || len(pod.Volumes) != 2 {
		t.Fatalf("%+v", job)
	}
	if c := pod.Volumes[0].PersistentVolumeClaim; c == nil || c.ClaimName != claim.Name {
		t.Errorf("the journal is on %+v", pod.Volumes[0])
	}
	mounted := map[string]string{}
	for _, m := range pod.Containers[0].VolumeMounts {
		mounted[m.Name] = m.MountPath
	}
	if mounted[pod.Volumes[0].Name] != "/state" || mounted[pod.Volumes[1].Name] != "/list" {
		t.Errorf("mounted: %v", mounted)
	}
	if pod.SecurityContext == nil || pod.SecurityContext.RunAsNonRoot == nil || !*pod.SecurityContext.RunAsNonRoot {
		t.Error("may run as root")
	}
}

// TestDockerfile: BuildKit takes it, and the last stage begins with nothing.
func TestDockerfile(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("container", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	stages, _, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(stages) != 2 || stages[1].BaseName != "scratch" || len(parsed.Warnings) > 0 {
		t.Errorf("%+v %+v", stages, parsed.Warnings)
	}
}

// TestUnits: systemd has nothing to say about the units, which it does not about
// one with a mistake in it. It looks for the programs, so these are replaced.
func TestUnits(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip(err)
	}
	paths, err := filepath.Glob(filepath.Join("systemd", "*"))
	if err != nil || len(paths) != 4 {
		t.Fatalf("units: %v %v", paths, err)
	}
	for _, mistake := range []bool{false, true} {
		args := []string{"verify", "--man=no"}
		dir := t.TempDir()
		for _, path := range paths {
			unit, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			unit = bytes.ReplaceAll(unit, []byte("/usr/bin/offboard"), []byte("/bin/true"))
			if mistake {
				unit = bytes.ReplaceAll(unit, []byte("ProtectHome="), []byte("ProtectHouse="))
			}
			copied := filepath.Join(dir, filepath.Base(path))
			if err := os.WriteFile(copied, unit, 0o600); err != nil {
				t.Fatal(err)
			}
			args = append(args, copied)
		}
		out, err := exec.Command("systemd-analyze", args...).CombinedOutput()
		if said := err != nil || len(bytes.TrimSpace(out)) > 0; said != mistake {
			t.Errorf("with a mistake: %t: %v\n%s", mistake, err, out)
		}
	}
}
