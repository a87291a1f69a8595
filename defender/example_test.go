package defender_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"offboard/defender"
)

// tenant is a service that knows one machine.
func tenant() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		const known = "1e5bc9d7e413ddd7902c2932e418702b84d0cc07"
		switch r.URL.Path {
		case "/api/machines/" + known + "/offboard":
			w.WriteHeader(http.StatusCreated)
			_, _ = fmt.Fprintf(w, `{"id":"5382f7ea","type":"Offboard","status":"Pending","machineId":%q}`, known)
		case "/api/machineactions":
			_, _ = fmt.Fprintf(w, `{"value":[{"id":"5382f7ea","type":"Offboard","status":"Succeeded","machineId":%q}]}`, known)
		default:
			w.WriteHeader(http.StatusNotFound)
			_, _ = fmt.Fprint(w, `{"error":{"code":"ResourceNotFound","message":"Machine was not found","target":"|42."}}`)
		}
	}))
}

func newClient(url string) *defender.Client {
	tokens, err := defender.NewTokens(defender.AuthConfig{Token: "token"})
	if err != nil {
		panic(err)
	}
	client, err := defender.New(defender.Config{APIURL: url, Tokens: tokens})
	if err != nil {
		panic(err)
	}
	return client
}

func ExampleClient_Offboard() {
	service := tenant()
	defer service.Close()
	client := newClient(service.URL)

	for _, id := range []string{"1e5bc9d7e413ddd7902c2932e418702b84d0cc07", "0000000000000000000000000000000000000000"} {
		action, err := client.Offboard(context.Background(), id, "lease ended")
		var e *defender.Error
		switch {
		case err == nil:
			fmt.Println("accepted, now", action.Status)
		case errors.As(err, &e) && e.Meaning == defender.Unknown:
			fmt.Println("look before sending this again:", err)
		default:
			fmt.Println(err)
		}
	}
	// Output:
	// accepted, now Pending
	// offboard: HTTP 404 ResourceNotFound: Machine was not found (correlation id |42.)
}

func ExampleClient_Actions() {
	service := tenant()
	defer service.Close()

	page, err := newClient(service.URL).Actions(context.Background(),
		defender.ActionFilter{Type: defender.TypeOffboard}, defender.Page{Top: 100})
	if err != nil {
		panic(err)
	}
	for _, action := range page.Items {
		fmt.Println(action.MachineID, action.Status, action.Final())
	}
	fmt.Println("more to come:", page.Received == 100)
	// Output:
	// 1e5bc9d7e413ddd7902c2932e418702b84d0cc07 Succeeded true
	// more to come: false
}

func ExampleAuthConfig_Choose() {
	env := map[string]string{
		"AZURE_TENANT_ID": "contoso.onmicrosoft.com", "AZURE_CLIENT_ID": "fleet-retirement", "AZURE_CLIENT_SECRET": "…",
	}
	method, why, err := defender.AuthFromEnv(func(name string) string { return env[name] }).Choose()
	fmt.Println(method, "—", why, err)
	// Output: client-secret — a client secret is given <nil>
}

func ExampleParseClaims() {
	_, err := defender.Claims{Roles: []string{"Machine.Read.All"}, AppID: "fleet-retirement"}.CheckOffboard("")
	var e *defender.Error
	if errors.As(err, &e) {
		fmt.Println(e)
		fmt.Println(e.Hint)
	}
	fmt.Println(defender.ParseClaims("not a JSON web token").Opaque)
	// Output:
	// check the token: the token lacks the permission Machine.Offboard
	// grant the app fleet-retirement the application permission Machine.Offboard of WindowsDefenderATP, give admin consent and sign in again
	// true
}

func ExampleParseCloud() {
	cloud, err := defender.ParseCloud("public")
	if err != nil {
		panic(err)
	}
	cloud, err = cloud.Region("eu")
	fmt.Println(cloud.APIURL, err)
	// Output: https://eu.api.security.microsoft.com <nil>
}
