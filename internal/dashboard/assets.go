package dashboard

import (
	"embed"
	"io/fs"
	"net/http"
	"strings"
)

// static is the page as it is sent, together with uPlot, which draws its charts,
// and uPlot's licence.
//
//go:embed static
var static embed.FS

func files() http.Handler {
	root, err := fs.Sub(static, "static")
	if err != nil {
		panic(err) // it is embedded
	}
	server := http.FileServerFS(root)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			http.Error(w, "there is nothing to do here", http.StatusMethodNotAllowed)
		case r.URL.Path != "/" && strings.HasSuffix(r.URL.Path, "/"):
			http.NotFound(w, r) // no list of files
		default:
			server.ServeHTTP(w, r)
		}
	})
}
